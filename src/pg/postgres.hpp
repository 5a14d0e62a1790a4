// PostgreSQL's headers for C++, and the rule that keeps exceptions, ereport and memory apart.
//
// ereport leaves by longjmp, which skips destructors; an exception that reaches PostgreSQL's C code ends the backend. So:
//   - src/core may throw inside, but all its functions are noexcept, allocate nothing and know no PostgreSQL
//     (core/no_postgres.hpp checks that at compile time).
//   - src/pg may ereport anywhere, because it throws nothing and owns nothing: only plain data is on the stack (the core's
//     results are plain data too, asserted below), and all memory comes from palloc, which PostgreSQL frees.
//   - The only object with a destructor here is the HMAC context, which is static and outlives every longjmp.
#pragma once

extern "C" {
#include "postgres.h"

#include "access/tupdesc.h"
#include "fmgr.h"
#include "nodes/nodes.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif
}

#include <cstdint>
#include <string_view>
#include <type_traits>

#include "core/postback.hpp"

// src/pg uses nothing of C++'s library that allocates or throws.
static_assert(std::is_trivially_destructible_v<cc::Postback> && std::is_trivially_destructible_v<cc::TokenVerdict>);

namespace cc::pg {

/// PostgreSQL's IsA() would find cc::Node instead of its own Node.
inline bool IsNode(const void* node, NodeTag tag) noexcept { return static_cast<const ::Node*>(node)->type == tag; }

/// Returns the bytes of a detoasted text or bytea.
inline std::string_view ViewOf(const varlena* value) noexcept {
  return {VARDATA_ANY(value), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(value))};
}

/// Returns a palloc'd text. Fails only if memory runs out.
Datum TextDatum(std::string_view text);

/// Returns the value, a text, bytea or jsonb, in its stored form: compressed with lz4 if PostgreSQL has that and it helps.
Datum Compressed(Datum value);

/// Returns a memory context below the current one for the memory of one row: reset it after each row.
MemoryContext MakeRowMemory();

/// Returns a Workspace in the current memory context, for a text of `size` bytes and `nodes` nodes.
Workspace AllocateWorkspace(std::size_t size, std::size_t nodes);
void FreeWorkspace(Workspace& workspace);

/// Returns an identifier of the current transaction that is unique in this session.
LocalTransactionId CurrentTransaction();

/// Returns the argument, detoasted; nullptr if it is NULL.
const varlena* ArgumentOrNull(FunctionCallInfo fcinfo, int argument);

/// Returns a tuple descriptor of the composite type that the called function returns. It lives as long as the FmgrInfo.
TupleDesc ResultDescriptor(FunctionCallInfo fcinfo);

}  // namespace cc::pg
