// The text that is stored of a caught error, and what a line of the log leaves out.
#pragma once

#include "pg/postgres.hpp"

namespace cc::pg {

/// Returns SQLSTATE, message and the place of the error, cut at 2,000 bytes.
const char* DescriptionOf(const ErrorData& error);

/// Called inside ereport(LOG, …): leaves out the statement and the context, which can have a body and its token in them.
inline int errwithoutinput() {
  errhidestmt(true);
  return errhidecontext(true);
}

}  // namespace cc::pg
