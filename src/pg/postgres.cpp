#include "pg/postgres.hpp"

extern "C" {
#include "access/detoast.h"
#include "access/toast_compression.h"
#include "access/toast_internals.h"
#include "funcapi.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

// PostgreSQL 18 leaves members out of it.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
PG_MODULE_MAGIC;
#pragma GCC diagnostic pop
}

namespace cc::pg {

Datum TextDatum(std::string_view text) {
  return PointerGetDatum(cstring_to_text_with_len(text.data(), static_cast<int>(text.size())));
}

Datum Compressed(Datum value) {
#ifdef USE_LZ4
  // Shorter values are not worth it. PostgreSQL itself would use pglz, which takes most of the time of an insert.
  constexpr std::size_t kWorthIt = 256;
  if (toast_raw_datum_size(value) >= kWorthIt) {
    const Datum compressed = toast_compress_datum(PointerGetDatum(PG_DETOAST_DATUM(value)), TOAST_LZ4_COMPRESSION);
    if (DatumGetPointer(compressed) != nullptr) return compressed;
  }
#endif
  return value;
}

Workspace AllocateWorkspace(std::size_t size, std::size_t nodes) {
  return Workspace{static_cast<char*>(palloc(TextCapacity(size))), static_cast<Node*>(palloc(nodes * sizeof(Node))), nodes};
}

void FreeWorkspace(Workspace& workspace) {
  pfree(workspace.text);
  pfree(workspace.nodes);
  workspace = Workspace{};
}

MemoryContext MakeRowMemory() {
  return AllocSetContextCreateInternal(CurrentMemoryContext, "cryptocloud_postback row", ALLOCSET_DEFAULT_SIZES);
}

LocalTransactionId CurrentTransaction() {
#if PG_VERSION_NUM >= 170000
  return MyProc->vxid.lxid;
#else
  return MyProc->lxid;
#endif
}

const varlena* ArgumentOrNull(FunctionCallInfo fcinfo, int argument) {
  return PG_ARGISNULL(argument) ? nullptr : PG_GETARG_VARLENA_PP(argument);
}

TupleDesc ResultDescriptor(FunctionCallInfo fcinfo) {
  FmgrInfo* const function = fcinfo->flinfo;
  if (function->fn_extra == nullptr) {
    // In FROM the caller has looked it up already.
    const auto* const set = reinterpret_cast<const ReturnSetInfo*>(fcinfo->resultinfo);
    TupleDesc descriptor = set != nullptr && fcinfo->resultinfo->type == T_ReturnSetInfo ? set->expectedDesc : nullptr;
    if (descriptor == nullptr && get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE)
      elog(ERROR, "function does not return a composite type");
    const MemoryContext caller = MemoryContextSwitchTo(function->fn_mcxt);
    function->fn_extra = BlessTupleDesc(CreateTupleDescCopy(descriptor));
    MemoryContextSwitchTo(caller);
  }
  return static_cast<TupleDesc>(function->fn_extra);
}

}  // namespace cc::pg
