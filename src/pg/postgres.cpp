#include "pg/postgres.hpp"

extern "C" {
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/typcache.h"

PG_MODULE_MAGIC;
}

namespace cc::pg {

Datum TextDatum(std::string_view text) {
  return PointerGetDatum(cstring_to_text_with_len(text.data(), static_cast<int>(text.size())));
}

Workspace AllocateWorkspace(std::size_t size, std::size_t nodes) {
  return Workspace{static_cast<char*>(palloc(TextCapacity(size))), static_cast<Node*>(palloc(nodes * sizeof(Node))), nodes};
}

void FreeWorkspace(Workspace& workspace) {
  pfree(workspace.text);
  pfree(workspace.nodes);
  workspace = Workspace{};
}

const varlena* ArgumentOrNull(FunctionCallInfo fcinfo, int argument) {
  return PG_ARGISNULL(argument) ? nullptr : PG_GETARG_VARLENA_PP(argument);
}

TupleDesc ResultDescriptor(FunctionCallInfo fcinfo) {
  FmgrInfo* const function = fcinfo->flinfo;
  if (function->fn_extra == nullptr) {
    TupleDesc descriptor;
    if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE)
      elog(ERROR, "function does not return a composite type");
    const MemoryContext caller = MemoryContextSwitchTo(function->fn_mcxt);
    function->fn_extra = BlessTupleDesc(CreateTupleDescCopy(descriptor));
    MemoryContextSwitchTo(caller);
  }
  return static_cast<TupleDesc>(function->fn_extra);
}

}  // namespace cc::pg
