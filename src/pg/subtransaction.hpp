// Runs work that may fail in a subtransaction of its own.
#pragma once

#include "pg/postgres.hpp"

extern "C" {
#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
}

namespace cc::pg {

/// Runs `work`, like PL/pgSQL's block with EXCEPTION. An ERROR undoes its work and is returned in the current memory context;
/// nullptr if there was none. `work` may set outer variables only through references. The returned error has no context of the
/// caller, which may show what the caller inserted.
template <typename Work>
ErrorData* InSubtransaction(const Work& work) {
  static_assert(std::is_trivially_destructible_v<Work>);
  const MemoryContext memory = CurrentMemoryContext;
  const ResourceOwner owner = CurrentResourceOwner;
  ErrorData* volatile error = nullptr;
  BeginInternalSubTransaction(nullptr);
  MemoryContextSwitchTo(memory);
  PG_TRY();
  {
    error_context_stack = nullptr;
    work();
    ReleaseCurrentSubTransaction();
    MemoryContextSwitchTo(memory);
    CurrentResourceOwner = owner;
  }
  PG_CATCH();
  {
    MemoryContextSwitchTo(memory);
    error = CopyErrorData();
    FlushErrorState();
    RollbackAndReleaseCurrentSubTransaction();
    MemoryContextSwitchTo(memory);
    CurrentResourceOwner = owner;
  }
  PG_END_TRY();
  return error;
}

}  // namespace cc::pg
