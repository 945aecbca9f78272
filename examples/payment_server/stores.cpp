#include "stores.hpp"

#include <cstdlib>
#include <utility>

#include <paidonce/stores/file.hpp>
#include <paidonce/stores/postgres.hpp>
#include <paidonce/stores/redis.hpp>
#include <paidonce/stores/sqlite.hpp>

namespace payment_server {
namespace {

using common::OpenStore;
using common::OpenStoreOf;

std::unique_ptr<OpenStore> open_sqlite(const common::StoreAddress& address) {
  paidonce::SqliteStoreOptions options;
  options.table = address.table;
  return std::make_unique<OpenStoreOf<paidonce::SqliteStore>>(paidonce::SqliteStore(address.place, options));
}

std::unique_ptr<OpenStore> open_postgres(const Options& how) {
  paidonce::PostgresStoreOptions options;
  options.schema = how.store.schema;
  paidonce::PostgresStore store(how.store.place, options);
  if (how.migrate) store.migrate();
  return std::make_unique<OpenStoreOf<paidonce::PostgresStore>>(std::move(store));
}

std::unique_ptr<OpenStore> open_redis(const common::StoreAddress& address) {
  paidonce::RedisStoreOptions options;
  options.prefix = address.prefix;
  if (const char* const password = std::getenv("REDISCLI_AUTH")) options.connection.password = password;
  return std::make_unique<OpenStoreOf<paidonce::RedisStore>>(paidonce::RedisStore(address.place, options));
}

}  // namespace

std::unique_ptr<OpenStore> open_store(const Options& options) {
  switch (options.store.kind) {
    case common::StoreAddress::Kind::sqlite: return open_sqlite(options.store);
    case common::StoreAddress::Kind::postgres: return open_postgres(options);
    case common::StoreAddress::Kind::redis: return open_redis(options.store);
    case common::StoreAddress::Kind::file: break;
  }
  return std::make_unique<OpenStoreOf<paidonce::FileStore>>(paidonce::FileStore(options.store.place));
}

std::string name_of(const common::StoreAddress& address) {
  switch (address.kind) {
    case common::StoreAddress::Kind::sqlite: return "SQLite file " + address.place;
    case common::StoreAddress::Kind::postgres: return "PostgreSQL schema " + address.schema;
    case common::StoreAddress::Kind::redis: return "Redis prefix " + address.prefix;
    case common::StoreAddress::Kind::file: break;
  }
  return "directory " + address.place;
}

}  // namespace payment_server
