// Document to jsonb, in one pass, in jsonb's own stored form (see PostgreSQL's utils/jsonb.h).
//
// PostgreSQL's own way (pushJsonbValue, JsonbValueToJsonb) builds a tree of JsonbValues first and writes it afterwards. The
// nodes of a Document are a tree already. That both give the same bytes is what test/t/jsonb.pl shows.
#pragma once

#include "core/document.hpp"
#include "pg/postgres.hpp"

extern "C" {
#include "utils/jsonb.h"
}

namespace cc::pg {

/// What becomes of the root object's members. Further in, of a name that comes twice the last counts, as ever in jsonb.
enum class RootMembers : std::uint8_t {
  kAsIs,
  kJsonWithoutToken,  ///< leaves out the member token
  kFormWithoutToken,  ///< the same, and a repeated name becomes an array of its values
};

/// The jsonb of `node`, an object or an array of `document`. A number of more than 400 digits on either side of the point, which
/// might be more than numeric can hold, becomes a string. Checks for interrupts.
Jsonb* MakeJsonb(const Document& document, const Node& node, RootMembers members);

}  // namespace cc::pg
