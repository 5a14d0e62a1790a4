// cc_import: stores an answer of the service's API in cc_invoice. Its contract is in sql/import.sql.
#include <cstring>

#include "core/api_invoice.hpp"
#include "core/json.hpp"
#include "core/rules.hpp"
#include "pg/error_text.hpp"
#include "pg/invoice.hpp"
#include "pg/lock.hpp"
#include "pg/merchant_code.hpp"
#include "pg/owner.hpp"
#include "pg/project.hpp"
#include "pg/statement.hpp"
#include "pg/subtransaction.hpp"
#include "pg/table.hpp"

extern "C" {
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(cc_import);
}

namespace cc::pg {
namespace {

// --- The answer ---

std::size_t SizeOf(const JsonbValue& value) {
  if (value.type == jbvString) return static_cast<std::size_t>(value.val.string.len);
  if (value.type != jbvNumeric) return 0;
  char* const text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value.val.numeric)));
  const std::size_t size = std::strlen(text);
  pfree(text);
  return size;
}

// Returns true if this is over 1 MiB as text. 1e131071 is short in jsonb, so the text is not written to measure it.
bool IsTooLong(Jsonb* json) {
  std::size_t size = 0;
  JsonbValue value;
  JsonbIterator* iterator = JsonbIteratorInit(&json->root);
  for (auto token = JsonbIteratorNext(&iterator, &value, false); token != WJB_DONE;
       token = JsonbIteratorNext(&iterator, &value, false)) {
    if (token == WJB_KEY || token == WJB_VALUE || token == WJB_ELEM) size += SizeOf(value);
    if (size > kMaxBodySize) return true;
  }
  return false;
}

// Returns at most the first 500 bytes.
const char* BeginningOf(Jsonb* answer) {
  if (IsTooLong(answer)) return "…";
  char* const text = JsonbToCString(nullptr, &answer->root, VARSIZE(answer));
  const int length = static_cast<int>(std::string_view(text).size());
  text[pg_mbcliplen(text, length, 500)] = '\0';
  return text;
}

[[noreturn]] void RefuseAnswer(const char* message, const char* hint, Jsonb* answer) {
  ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s", message),
                  errdetail("The answer begins with: %s", BeginningOf(answer)), hint == nullptr ? 0 : errhint("%s", hint)));
  pg_unreachable();
}

JsonbValue* MemberOf(Jsonb* object, std::string_view name, JsonbValue& value) {
  return getKeyJsonValueFromContainer(&object->root, name.data(), static_cast<int>(name.size()), &value);
}

bool IsSuccess(const JsonbValue& status) {
  return status.type == jbvString &&
         std::string_view(status.val.string.val, static_cast<std::size_t>(status.val.string.len)) == "success";
}

// Returns the member result: an array, or the only element.
JsonbValue ResultOf(Jsonb* answer) {
  constexpr const char* kHint = "Pass the whole answer to create, info or list: {\"status\": \"success\", \"result\": …}.";
  JsonbValue status, result;
  if (!JB_ROOT_IS_OBJECT(answer) || MemberOf(answer, "result", result) == nullptr)
    RefuseAnswer("the answer has no member \"result\"", kHint, answer);
  if (MemberOf(answer, "status", status) != nullptr && !IsSuccess(status))
    RefuseAnswer("the answer is an error of the service", nullptr, answer);
  if (result.type != jbvBinary) RefuseAnswer("the member \"result\" of the answer is not an object or an array", kHint, answer);
  return result;
}

// --- Who, when, what ---

Statement insert_log{[](const char* schema) -> const char* {
  return psprintf(
      "INSERT INTO %s.cc_import_log (imported_at, imported_by, project, invoice_id, outcome, error, element)"
      " VALUES ($1, $2, $3, $4, $5, $6, $7)",
      schema);
}};

struct Outcome {
  ImportOutcome outcome;
  NullableDatum invoice_id;
  const char* error;
  bool is_erased = false;  // the invoice is erased by cc_erase()
};

// The element is not kept if it says nothing new, nor if the invoice is erased, because it has personal data.
void Log(const DeliveryContext& context, Jsonb* element, const Outcome& outcome) {
  const bool has_error = outcome.error != nullptr;
  const bool keeps_element = outcome.outcome != ImportOutcome::kUnchanged && !outcome.is_erased;
  const Parameter parameters[] = {{TIMESTAMPTZOID, context.received_at},
                                  {TEXTOID, CStringGetTextDatum(GetUserNameFromId(GetSessionUserId(), false))},
                                  {TEXTOID, context.project},
                                  {TEXTOID, outcome.invoice_id.value, outcome.invoice_id.isnull},
                                  {TEXTOID, CStringGetTextDatum(OutcomeWord(outcome.outcome))},
                                  {TEXTOID, has_error ? CStringGetTextDatum(outcome.error) : Datum{0}, !has_error},
                                  {JSONBOID, keeps_element ? JsonbPGetDatum(element) : Datum{0}, !keeps_element}};
  WriteTable(context.schema, context.owner, "cc_import_log", [&] {
    if (Execute(insert_log, context.schema, parameters, 7).processed != 1)
      ereport(ERROR, (errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION), errmsg("an import was not recorded"),
                      errdetail("A trigger or a rule of cc_import_log skipped the row.")));
  });
}

// As for a postback, only the table has the error.
void LogCaught(const DeliveryContext& context, const Outcome& outcome, const ErrorData& error) {
  ereport(LOG, (errmsg("cryptocloud_postback: invoice \"%s\" of project \"%s\" was not imported: SQLSTATE %s",
                       TextDatumGetCString(outcome.invoice_id.value), TextDatumGetCString(context.project),
                       unpack_sql_state(error.sqlerrcode)),
                errhint("cc_import_log.error has the message."), errwithoutinput()));
}

// --- One element ---

ImportOutcome OutcomeOf(InvoiceChange change) {
  switch (change) {
    case InvoiceChange::kNone: return ImportOutcome::kUnchanged;
    case InvoiceChange::kMade: return ImportOutcome::kCreated;
    case InvoiceChange::kUpdated: return ImportOutcome::kUpdated;
    case InvoiceChange::kPaid: return ImportOutcome::kPaid;
  }
  pg_unreachable();
}

// The lock stays until the transaction ends, whatever fails afterwards.
LockOutcome Lock(const DeliveryContext& context, const Outcome& outcome, ResourceOwner outer, bool may_wait) {
  const ResourceOwner inner = CurrentResourceOwner;
  CurrentResourceOwner = outer;
  const LockOutcome lock =
      LockInvoice(ViewOf(DatumGetTextPP(context.project)), ViewOf(DatumGetTextPP(outcome.invoice_id.value)), may_wait);
  CurrentResourceOwner = inner;
  return lock;
}

void Fail(Outcome& outcome, const char* why) {
  outcome.outcome = ImportOutcome::kFailed;
  outcome.error = why;
}

void Apply(const DeliveryContext& context, const Delivery& delivery, ResourceOwner outer, bool may_wait, Outcome& outcome) {
  switch (Lock(context, outcome, outer, may_wait)) {
    case LockOutcome::kHeld: break;
    case LockOutcome::kBusy: return Fail(outcome, "another transaction has locked this invoice");
    case LockOutcome::kTooMany: return Fail(outcome, "the transaction has locked too many invoices");
  }
  CommandCounterIncrement();  // so that earlier elements count
  InvoiceChange change;
  const bool is_known = FindInvoice(context, outcome.invoice_id.value).is_known;
  outcome.error = ChangeInvoice(context, delivery, is_known, &change);
  outcome.outcome = outcome.error == nullptr ? OutcomeOf(change) : ImportOutcome::kConflict;
}

// An error of the merchant's code undoes only this element. A cancel or a timeout of the statement undoes the whole call.
void ApplyOrFail(const DeliveryContext& context, const Delivery& delivery, bool& may_wait, Outcome& outcome) {
  const ResourceOwner outer = CurrentResourceOwner;
  ErrorData* const error = InSubtransaction([&] { Apply(context, delivery, outer, may_wait, outcome); });
  if (error == nullptr) return;
  if (error->sqlerrcode == ERRCODE_QUERY_CANCELED) ReThrowError(error);
  // After one lock timeout, do not wait for other locks.
  if (StateAfterError(unpack_sql_state(error->sqlerrcode)) == State::kPending) may_wait = false;
  LogCaught(context, outcome, *error);
  Fail(outcome, DescriptionOf(*error));
}

Outcome Import(const DeliveryContext& context, Jsonb* element, bool& may_wait) {
  Outcome outcome{ImportOutcome::kInvalid, {Datum{0}, true}, nullptr};
  Document document;
  if (JB_ROOT_IS_OBJECT(element) && !IsTooLong(element)) {
    const std::string_view json{JsonbToCString(nullptr, &element->root, VARSIZE(element))};
    const Workspace workspace = AllocateWorkspace(json.size(), JsonNodeCapacity(json.size()));
    if (json.size() > kMaxBodySize || !ParseJson(json, workspace, document)) document = {};
  }
  const ApiInvoice invoice = ReadApiInvoice(document);
  if (!invoice.invoice_id.empty()) outcome.invoice_id = {TextDatum(invoice.invoice_id), false};
  if (invoice.fault == ApiFault::kNone)
    ApplyOrFail(context, MakeDelivery(document, invoice, element), may_wait, outcome);
  else
    outcome.error = FaultMessage(invoice.fault);
  if (!outcome.invoice_id.isnull) outcome.is_erased = FindInvoice(context, outcome.invoice_id.value).is_erased;
  return outcome;
}

// --- All of them ---

void ImportElement(const DeliveryContext& context, const JsonbValue& value, bool& may_wait, const ReturnSetInfo& result) {
  Jsonb* const element = JsonbValueToJsonb(const_cast<JsonbValue*>(&value));
  const Outcome outcome = Import(context, element, may_wait);
  Log(context, element, outcome);
  Datum values[] = {outcome.invoice_id.value, CStringGetTextDatum(OutcomeWord(outcome.outcome))};
  bool nulls[] = {outcome.invoice_id.isnull, false};
  tuplestore_putvalues(result.setResult, result.setDesc, values, nulls);
}

void ImportEach(const DeliveryContext& context, const JsonbValue& elements, const ReturnSetInfo& result) {
  bool may_wait = true;
  // Frees the memory of each element before the next element.
  const MemoryContext memory = MakeRowMemory();
  const auto import = [&](const JsonbValue& value) {
    CHECK_FOR_INTERRUPTS();
    const MemoryContext caller = MemoryContextSwitchTo(memory);
    ImportElement(context, value, may_wait, result);
    MemoryContextSwitchTo(caller);
    MemoryContextReset(memory);
  };
  JsonbContainer* const container = elements.val.binary.data;
  if (JsonContainerIsObject(container)) {
    import(elements);
  } else {
    for (std::uint32_t i = 0; i < JsonContainerSize(container); ++i) import(*getIthJsonbValueFromContainer(container, i));
  }
  MemoryContextDelete(memory);
}

// Takes the rights of the owner of the tables. The caller must have these rights already: EXECUTE on the function is not enough.
class OwnersRights {
 public:
  explicit OwnersRights(Oid table) {
    GetUserIdAndSecContext(&caller_, &context_);
    const Relation relation = table_open(table, AccessShareLock);
    const Oid owner = relation->rd_rel->relowner;
    table_close(relation, AccessShareLock);
    if (!has_privs_of_role(caller_, owner))
      ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("must be owner of the tables to call cc_import"),
                      errdetail("The tables belong to role \"%s\".", GetUserNameFromId(owner, false))));
    SetUserIdAndSecContext(caller_, context_ | SECURITY_LOCAL_USERID_CHANGE);
    owner_ = SwitchToTableOwner(table);
  }
  /// Must be called. After an ERROR it is not needed, because PostgreSQL resets the user.
  void End() const { SetUserIdAndSecContext(caller_, context_); }
  Oid owner() const { return owner_; }

 private:
  Oid caller_;
  Oid owner_;
  int context_;
};

void RefuseOldTables(Oid schema) {
  CloseTable(OpenTable(schema, "cc_import_log"));
  if (!IsInvoiceTableCurrent(schema))
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("the tables of cryptocloud_postback are of an earlier version"), errhint("Run SELECT cc_setup().")));
}

Project ProjectOf(Oid schema, Datum name) {
  Project project;
  if (!FindProject(schema, name, project))
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("project \"%s\" does not exist", TextDatumGetCString(name))));
  return project;
}

Datum Import(FunctionCallInfo fcinfo) {
  if (PG_ARGISNULL(0)) ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("answer must not be null")));
  const Oid schema = SchemaOf(fcinfo);
  const Oid inbox = TableIn(schema, "cc_inbox");
  PreventCommandIfReadOnly("cc_import()");
  if (IsolationUsesXactSnapshot())
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("answers can only be imported in READ COMMITTED"),
                    errhint("Run SET TRANSACTION ISOLATION LEVEL READ COMMITTED first.")));
  RefuseSuperuser("cc_import", inbox);
  Jsonb* const answer = PG_GETARG_JSONB_P(0);
  const JsonbValue elements = ResultOf(answer);
  InitMaterializedSRF(fcinfo, 0);
  const OwnersRights rights(inbox);
  RefuseOldTables(schema);
  const Datum name = PG_ARGISNULL(1) ? CStringGetTextDatum("default") : PG_GETARG_DATUM(1);
  const Project project = ProjectOf(schema, name);
  ImportEach({.schema = schema,
              .owner = rights.owner(),
              .project = name,
              .received_at = TimestampTzGetDatum(GetCurrentTimestamp()),
              .accept_test_payments = project.accept_test_payments,
              .notify = project.notify,
              .from_api = true},
             elements, *reinterpret_cast<const ReturnSetInfo*>(fcinfo->resultinfo));
  rights.End();
  return Datum{0};
}

}  // namespace
}  // namespace cc::pg

// Arguments: answer jsonb, project text. Result: invoice_id text, outcome text.
extern "C" PGDLLEXPORT Datum cc_import(PG_FUNCTION_ARGS) { return cc::pg::Import(fcinfo); }
