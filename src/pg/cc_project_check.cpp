// cc_project_check: the trigger that rejects a project that could not work. Its contract is in sql/setup.sql.
#include "core/trim.hpp"
#include "pg/lock.hpp"
#include "pg/owner.hpp"
#include "pg/row.hpp"
#include "pg/table.hpp"

extern "C" {
#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(cc_project_check);
}

namespace cc::pg {
namespace {

enum class ProjectColumn : std::uint8_t {
  kName,
  kSecret,
  kPreviousSecret,
  kPreviousSecretUntil,
  kRequireOrderId,
  kLeeway,
  kAcceptTestPayments,
  kNotify,
  kApply,
  kCount
};
constexpr std::size_t kProjectColumnCount = static_cast<std::size_t>(ProjectColumn::kCount);
using ProjectRow = Row<ProjectColumn, kProjectColumnCount>;

constexpr struct {
  const char* name;
  Oid type;
} kProjectColumns[kProjectColumnCount] = {
    {"name", TEXTOID},
    {"secret", TEXTOID},
    {"previous_secret", TEXTOID},
    {"previous_secret_until", TIMESTAMPTZOID},
    {"require_order_id", BOOLOID},
    {"leeway", INTERVALOID},
    {"accept_test_payments", BOOLOID},
    {"notify", BOOLOID},
    {"apply", TEXTOID},
};

ProjectRow ReadRow(Relation table, HeapTuple tuple) {
  ProjectRow row;
  for (std::size_t i = 0; i < kProjectColumnCount; ++i) {
    const NullableDatum value = ColumnOf(table, tuple, kProjectColumns[i].name, kProjectColumns[i].type);
    row.values[i] = value.value;
    row.nulls[i] = value.isnull;
  }
  return row;
}

std::string_view TextOrEmpty(const ProjectRow& row, ProjectColumn column) {
  return row.IsNull(column) ? std::string_view{} : ViewOf(DatumGetTextPP(row.Value(column)));
}

// Returns true for white space at either end, including characters from web pages: no-break spaces and invisible ones.
bool HasSpaceAround(std::string_view text) {
  for (const std::string_view space : {" ", "\t", "\r", "\n", "\v", "\f", "\u00A0", "\u2002", "\u2003", "\u2007", "\u2009",
                                       "\u200B", "\u202F", "\u3000", "\uFEFF"})
    if (text.starts_with(space) || text.ends_with(space)) return true;
  return false;
}

bool IsNegativeOrInfinite(const Interval& interval) {
#ifdef INTERVAL_NOT_FINITE  // PostgreSQL 17 and later
  if (INTERVAL_NOT_FINITE(&interval)) return true;
#endif
  Interval zero{};
  return DatumGetBool(DirectFunctionCall2(interval_lt, IntervalPGetDatum(&interval), IntervalPGetDatum(&zero)));
}

// Returns the fault of the project itself, or nullptr. The text contains no secret.
const char* ProblemOf(const ProjectRow& row) {
  const std::string_view name = TextOrEmpty(row, ProjectColumn::kName);
  const std::string_view secret = TextOrEmpty(row, ProjectColumn::kSecret);
  const std::string_view previous = TextOrEmpty(row, ProjectColumn::kPreviousSecret);
  const std::string_view apply = TextOrEmpty(row, ProjectColumn::kApply);
  if (name.empty()) return "name must not be empty";
  if (pg_mbstrlen_with_len(name.data(), static_cast<int>(name.size())) > 255)
    return "name must not be longer than 255 characters";
  if (secret.empty()) return "secret must not be empty";
  if (HasSpaceAround(secret)) return "secret must not begin or end with white space";
  if (!row.IsNull(ProjectColumn::kPreviousSecret)) {
    if (previous.empty()) return "previous_secret must not be empty";
    if (HasSpaceAround(previous)) return "previous_secret must not begin or end with white space";
    if (row.IsNull(ProjectColumn::kPreviousSecretUntil)) return "previous_secret needs previous_secret_until";
  }
  if (row.IsNull(ProjectColumn::kLeeway) || IsNegativeOrInfinite(*DatumGetIntervalP(row.Value(ProjectColumn::kLeeway))))
    return "leeway must be finite and not negative";
  if (apply != "immediate" && apply != "deferred") return "apply must be immediate or deferred";
  for (const ProjectColumn setting : {ProjectColumn::kRequireOrderId, ProjectColumn::kAcceptTestPayments, ProjectColumn::kNotify})
    if (row.IsNull(setting)) return psprintf("%s must not be null", kProjectColumns[ProjectRow::Index(setting)].name);
  return nullptr;
}

bool HasSecret(const ProjectRow& row, std::string_view secret) {
  return !secret.empty() &&
         (TextOrEmpty(row, ProjectColumn::kSecret) == secret || TextOrEmpty(row, ProjectColumn::kPreviousSecret) == secret);
}

// A token of one project would also pay in the other project.
bool SharesSecret(Relation table, const ProjectRow& row, std::string_view own_name) {
  const Snapshot now = TakeLatestSnapshot();
  const SysScanDesc scan = systable_beginscan(table, InvalidOid, false, now, 0, nullptr);
  bool shares = false;
  for (HeapTuple tuple; !shares && HeapTupleIsValid(tuple = systable_getnext(scan));) {
    const ProjectRow other = ReadRow(table, tuple);
    const std::string_view name = TextOrEmpty(other, ProjectColumn::kName);
    shares = name != own_name && (HasSecret(other, TextOrEmpty(row, ProjectColumn::kSecret)) ||
                                  HasSecret(other, TextOrEmpty(row, ProjectColumn::kPreviousSecret)));
  }
  systable_endscan(scan);
  ForgetSnapshot(now);
  return shares;
}

bool IsSame(const ProjectRow& a, const ProjectRow& b, ProjectColumn column) {
  return a.IsNull(column) == b.IsNull(column) && TextOrEmpty(a, column) == TextOrEmpty(b, column);
}

// Raises the error without context: the context of COPY shows the line, with the secret.
[[noreturn]] void Refuse(const char* problem) {
  error_context_stack = nullptr;
  ereport(ERROR, (errcode(ERRCODE_CHECK_VIOLATION), errmsg("invalid project: %s", problem)));
  pg_unreachable();
}

Datum Check(FunctionCallInfo fcinfo) {
  const auto* const trigger = reinterpret_cast<const TriggerData*>(fcinfo->context);
  if (trigger == nullptr || !IsNode(trigger, T_TriggerData) || !TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
      !TRIGGER_FIRED_FOR_ROW(trigger->tg_event) || TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("cc_project_check must be called by a trigger BEFORE INSERT OR UPDATE FOR EACH ROW")));
  const Relation table = trigger->tg_relation;
  if (get_relname_relid("cc_project", SchemaOf(fcinfo)) != RelationGetRelid(table))
    ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
                    errmsg("cc_project_check must not be called for table \"%s\"", RelationGetRelationName(table))));
  SwitchToTableOwner(RelationGetRelid(table));

  const bool is_update = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event);
  const HeapTuple tuple = is_update ? trigger->tg_newtuple : trigger->tg_trigtuple;
  const ProjectRow row = ReadRow(table, tuple);
  if (const char* const problem = ProblemOf(row)) Refuse(problem);
  const ProjectRow before = is_update ? ReadRow(table, trigger->tg_trigtuple) : ProjectRow::Empty();
  const bool keeps_secrets =
      is_update && IsSame(row, before, ProjectColumn::kSecret) && IsSame(row, before, ProjectColumn::kPreviousSecret);
  if (keeps_secrets) return PointerGetDatum(tuple);
  // Sessions that store secrets at the same time do so one after the other.
  LockSecrets();
  CommandCounterIncrement();
  if (SharesSecret(table, row, TextOrEmpty(is_update ? before : row, ProjectColumn::kName)))
    Refuse("secret or previous_secret is already used by another project");
  return PointerGetDatum(tuple);
}

}  // namespace
}  // namespace cc::pg

extern "C" PGDLLEXPORT Datum cc_project_check(PG_FUNCTION_ARGS) { return cc::pg::Check(fcinfo); }
