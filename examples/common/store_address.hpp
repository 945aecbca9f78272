#pragma once
// Where a store is, as --store names it.

#include <string>
#include <string_view>

namespace common {

struct StoreAddress {
  enum class Kind { file, sqlite, postgres, redis };

  Kind kind = Kind::file;
  std::string place = {};  ///< its directory; its file; what libpq or Redis is reached by, password and all
  std::string table = "paidonce_payments";  ///< of a SQLite database
  std::string schema = "paidonce";          ///< of a PostgreSQL database
  std::string prefix = "paidonce";          ///< of the keys in Redis
};

/// `DIR`, `file:DIR`, `sqlite:FILE`, `postgres:` before what libpq connects to, a postgres://, redis:// or
/// redis+unix:// URL. Throws `std::invalid_argument` for anything else: what to do, in one line that names no
/// address.
StoreAddress store_address(std::string_view text);

}  // namespace common
