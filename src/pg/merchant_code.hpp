// The environment of the merchant's code: triggers, rules, checks and defaults of their tables.
#pragma once

#include "pg/postgres.hpp"

namespace cc::pg {

struct MerchantCode {
  Oid schema;
  Oid owner;
  bool may_leave_no_code;  ///< for commit: the session is a superuser's
  Datum cursors;           ///< that outlive the transaction, at the beginning; a text[]
  int settings;            ///< nesting level of the caller's settings
};

/// Returns the search_path for the merchant's code, which no caller can choose: the extension's schema, then that of a new
/// session of `user`. But the schema of the user's name is left out if another role owns it, unless that is a superuser.
const char* MerchantSearchPath(Oid schema, Oid user);

/// Sets this search_path. The current user is `owner`. An error ends this like EndMerchantCode.
MerchantCode BeginMerchantCode(Oid schema, Oid owner);

/// With `check`, first fires the owner's deferred constraints. Raises 42501 if code is left that would run at commit in the
/// session of a superuser. Restores all settings.
void EndMerchantCode(const MerchantCode& code, bool check);

/// Returns true if a write to cc_inbox or cc_import_log runs the merchant's code. Cached until the table changes.
bool RunsMerchantCode(Oid schema, const char* table);

/// Runs `write`, which writes cc_inbox or cc_import_log, in the environment of the merchant's code if it runs any.
template <typename Write>
void WriteTable(Oid schema, Oid owner, const char* table, const Write& write) {
  if (!RunsMerchantCode(schema, table)) return write();
  const MerchantCode around = BeginMerchantCode(schema, owner);
  write();
  EndMerchantCode(around, true);
}

}  // namespace cc::pg
