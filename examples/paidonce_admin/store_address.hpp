#pragma once
// Where a store is, as --store names it.

#include <string>
#include <string_view>

namespace paidonce_admin {

struct StoreAddress {
  enum class Kind { file, sqlite, postgres };

  Kind kind = Kind::file;
  std::string place = {};  ///< its directory; its database file; what libpq connects to, password and all
  std::string table = "paidonce_payments";  ///< of a SQLite database
  std::string schema = "paidonce";          ///< of a PostgreSQL database
};

/// `DIR`, `file:DIR`, `sqlite:FILE`, `postgres:` before what libpq connects to, or a postgres:// URL. Throws
/// `Refusal{bad_usage}` for anything else; it names no address.
StoreAddress store_address(std::string_view text);

}  // namespace paidonce_admin
