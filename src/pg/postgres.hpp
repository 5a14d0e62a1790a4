// PostgreSQL's headers for C++, and the rule that keeps exceptions, ereport and memory apart.
//
// ereport leaves by longjmp, which skips destructors; an exception that reaches PostgreSQL's C code ends the backend. So:
//   - src/core may throw inside, but every function that it offers is noexcept, allocates nothing and knows no PostgreSQL
//     (core/no_postgres.hpp makes the compiler hold that).
//   - src/pg may ereport anywhere, because it throws nothing and owns nothing: it keeps only plain data on the stack (the
//     core's results are plain data too, asserted below), and all memory comes from palloc, which PostgreSQL frees.
//   - The one object with a destructor that lives here, the HMAC context, is static and outlives every longjmp.
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

// Of C++'s library nothing that allocates or throws belongs in src/pg.
static_assert(std::is_trivially_destructible_v<cc::Postback> && std::is_trivially_destructible_v<cc::TokenVerdict>);

namespace cc::pg {

/// PostgreSQL's IsA() finds cc::Node instead of its own.
inline bool IsNode(const void* node, NodeTag tag) noexcept { return static_cast<const ::Node*>(node)->type == tag; }

/// The bytes of a detoasted text or bytea.
inline std::string_view ViewOf(const varlena* value) noexcept {
  return {VARDATA_ANY(value), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(value))};
}

/// A palloc'd text of `text`; cannot fail but for lack of memory.
Datum TextDatum(std::string_view text);

/// The value, a text, bytea or jsonb, in its stored form: compressed with lz4 where PostgreSQL has that and it helps.
Datum Compressed(Datum value);

/// A memory context below the current one, for what one row takes: reset it after each.
MemoryContext MakeRowMemory();

/// A Workspace in the current memory context, for a text of `size` bytes and `nodes` nodes.
Workspace AllocateWorkspace(std::size_t size, std::size_t nodes);
void FreeWorkspace(Workspace& workspace);

/// Tells one transaction of this session from another.
LocalTransactionId CurrentTransaction();

/// The argument, detoasted; nullptr if it is NULL.
const varlena* ArgumentOrNull(FunctionCallInfo fcinfo, int argument);

/// A tuple descriptor of the composite type that the called function returns, kept for as long as its FmgrInfo lives.
TupleDesc ResultDescriptor(FunctionCallInfo fcinfo);

}  // namespace cc::pg
