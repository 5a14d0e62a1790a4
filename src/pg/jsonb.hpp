// Document to jsonb in one pass, in jsonb's own stored form (see PostgreSQL's utils/jsonb.h).
//
// PostgreSQL's own way (pushJsonbValue, JsonbValueToJsonb) first builds a tree of JsonbValues. The nodes of a Document are a tree
// already. test/t/jsonb.pl shows that both give the same bytes.
#pragma once

#include "core/document.hpp"
#include "pg/postgres.hpp"

extern "C" {
#include "utils/jsonb.h"
}

namespace cc::pg {

/// How the root object's members are written. In inner objects the last of several equal names counts, as always in jsonb.
enum class RootMembers : std::uint8_t {
  kAsIs,
  kJsonWithoutToken,  ///< leaves out the member token
  kFormWithoutToken,  ///< the same, and a repeated name becomes an array of its values
};

/// Returns `node`, an object or an array of `document`, as jsonb. A number of more than 400 digits on either side of the point,
/// which numeric may not hold, becomes a string. Checks for interrupts.
Jsonb* MakeJsonb(const Document& document, const Node& node, RootMembers members);

}  // namespace cc::pg
