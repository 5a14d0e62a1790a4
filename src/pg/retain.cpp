#include "pg/retain.hpp"

#include "pg/invoice.hpp"
#include "pg/owner.hpp"
#include "pg/table.hpp"

extern "C" {
#include "access/xact.h"
#include "miscadmin.h"
}

namespace cc::pg {

OwnTables BeginRetention(FunctionCallInfo fcinfo, const char* function) {
  const Oid schema = SchemaOf(fcinfo);
  const Oid inbox = TableIn(schema, "cc_inbox");
  PreventCommandIfReadOnly(psprintf("%s()", function));
  RefuseSuperuser(function, inbox);
  // An older snapshot does not see the rows that wait now, and fails at each row that changed since.
  if (IsolationUsesXactSnapshot())
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("%s can only run in READ COMMITTED", function),
                    errhint("Run SET TRANSACTION ISOLATION LEVEL READ COMMITTED first.")));
  const OwnTables tables{.schema = schema, .owner = SwitchToTableOwner(inbox)};
  if (!IsInvoiceTableCurrent(schema))
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("the tables of cryptocloud_postback are of an earlier version"), errhint("Run SELECT cc_setup().")));
  return tables;
}

}  // namespace cc::pg
