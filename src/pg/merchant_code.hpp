// What surrounds code of the merchant's: triggers, rules, checks and defaults of their tables.
#pragma once

#include "pg/postgres.hpp"

namespace cc::pg {

struct MerchantCode {
  Oid schema;
  Oid owner;
  bool may_leave_no_code;  ///< for commit: the session is a superuser's
  std::int64_t cursors;    ///< that outlive the transaction, before
  int settings;            ///< level of the settings outside
};

/// From here on, code of the merchant's sees a search_path that nobody who calls can choose: the extension's schema, then what a
/// new session of the tables' owner would have. The current user is `owner`. An error ends it as EndMerchantCode does.
MerchantCode BeginMerchantCode(Oid schema, Oid owner);

/// With `check`, fires the deferred constraints of the owner's first. ERROR 42501 if code is left that would run at commit in the
/// session of a superuser. No setting that the merchant's code made stays.
void EndMerchantCode(const MerchantCode& code, bool check);

}  // namespace cc::pg
