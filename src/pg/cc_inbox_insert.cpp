// cc_inbox_insert: the trigger that receives rows inserted into cc_inbox. Its contract is in sql/pipeline.sql.
#include "pg/inbox.hpp"
#include "pg/owner.hpp"
#include "pg/settle.hpp"
#include "pg/table.hpp"

extern "C" {
#include "commands/trigger.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(cc_inbox_insert);
PG_FUNCTION_INFO_V1(cc_inbox_insert_0_2);
}

namespace cc::pg {
namespace {

const TriggerData& TriggerDataOf(FunctionCallInfo fcinfo) {
  const auto* const trigger = reinterpret_cast<const TriggerData*>(fcinfo->context);
  if (trigger == nullptr || !IsNode(trigger, T_TriggerData) || !TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ||
      !TRIGGER_FIRED_BEFORE(trigger->tg_event) || !TRIGGER_FIRED_FOR_ROW(trigger->tg_event))
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("cc_inbox_insert must be called by a trigger BEFORE INSERT FOR EACH ROW")));
  return *trigger;
}

// A table that only looks like cc_inbox would be decided by the rows of the real one.
void RefuseOtherTables(Relation table, Oid schema) {
  if (get_relname_relid("cc_inbox", schema) != RelationGetRelid(table))
    ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
                    errmsg("cc_inbox_insert must not be called for table \"%s\"", RelationGetRelationName(table)),
                    errdetail("It serves only the table cc_inbox of its own schema.")));
  RefuseOtherThanOrdinary(table);
}

// Whether anything else may skip a row of cc_inbox, looked up once until the table changes.
const char* HoldOf(const TriggerData& trigger) {
  static Oid known_table = InvalidOid;
  static bool may_skip = false;
  OnRelationChange([](Oid table) {
    if (!OidIsValid(table) || table == known_table) known_table = InvalidOid;
  });
  if (known_table != RelationGetRelid(trigger.tg_relation)) {
    may_skip = MaySkipRows(trigger.tg_relation, trigger.tg_trigger->tgname, {"id", "token_digest"});
    known_table = RelationGetRelid(trigger.tg_relation);
  }
  return may_skip ? "another trigger or unique constraint of cc_inbox could skip the row" : nullptr;
}

Datum Receive(FunctionCallInfo fcinfo) {
  const TriggerData& trigger = TriggerDataOf(fcinfo);
  const Relation inbox = trigger.tg_relation;
  const Oid schema = SchemaOf(fcinfo);
  RefuseOtherTables(inbox, schema);
  const Oid owner = SwitchToTableOwner(RelationGetRelid(inbox));

  InboxRow row = ReadInsertedRow(inbox, trigger.tg_trigtuple);
  row.Set(InboxColumn::kId, OwnId(inbox, row.Value(InboxColumn::kId)));
  row.Set(InboxColumn::kReceivedAt, TimestampTzGetDatum(GetCurrentTimestamp()));
  row.Set(InboxColumn::kAttempts, Int32GetDatum(0));
  Settle({.schema = schema, .owner = owner, .is_stored = false, .apply_now = false, .may_wait = true, .hold = HoldOf(trigger)},
         row);
  CutLongInput(row);
  return PointerGetDatum(WithRow(inbox, trigger.tg_trigtuple, row));
}

}  // namespace
}  // namespace cc::pg

extern "C" {
PGDLLEXPORT Datum cc_inbox_insert_0_2(PG_FUNCTION_ARGS) { return cc::pg::Receive(fcinfo); }
// The SQL of 0.1.0 calls this function. Its tables are of an earlier version, so postbacks are kept pending.
PGDLLEXPORT Datum cc_inbox_insert(PG_FUNCTION_ARGS) { return cc::pg::Receive(fcinfo); }
}
