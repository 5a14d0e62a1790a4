#include "pg/error_text.hpp"

#include <cstring>
#include <string_view>

extern "C" {
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
}

namespace cc::pg {
namespace {

// Returns the first line of an error's context, unless that is the pipeline's own statement, which says nothing.
std::string_view PlaceOf(const ErrorData& error) {
  if (error.context == nullptr) return {};
  const std::string_view line{error.context, std::strcspn(error.context, "\n")};
  const bool is_own = line.starts_with("SQL statement \"") && line.find(".cc_invoice") != std::string_view::npos;
  return is_own ? std::string_view{} : line;
}

}  // namespace

const char* DescriptionOf(const ErrorData& error) {
  StringInfoData text;
  initStringInfo(&text);
  appendStringInfo(&text, "%s: %s", unpack_sql_state(error.sqlerrcode), error.message == nullptr ? "" : error.message);
  if (const std::string_view place = PlaceOf(error); !place.empty())
    appendStringInfo(&text, " (%.*s)", static_cast<int>(place.size()), place.data());
  text.data[pg_mbcliplen(text.data, text.len, 2000)] = '\0';
  return text.data;
}

}  // namespace cc::pg
