#include "store_address.hpp"

#include <stdexcept>

namespace common {
namespace {

using Kind = StoreAddress::Kind;

StoreAddress at(Kind kind, std::string_view place) {
  StoreAddress address;
  address.kind = kind;
  address.place = place;
  return address;
}

/// Letters and a colon, as "sqllite:pay.db" has them: not a directory, but a slip.
bool has_scheme(std::string_view text) {
  const auto colon = text.find(':');
  return colon != text.npos && colon > 0 && text.find('/') > colon &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+") == colon;
}

}  // namespace

StoreAddress store_address(std::string_view text) {
  const auto without = [&](std::string_view prefix) { return text.substr(prefix.size()); };
  for (const std::string_view url : {"postgres://", "postgresql://"})
    if (text.starts_with(url)) return at(Kind::postgres, text);
  for (const std::string_view prefix : {"postgres:", "postgresql:"})
    if (text.starts_with(prefix)) return at(Kind::postgres, without(prefix));
  if (text == "sqlite:") throw std::invalid_argument("--store sqlite:FILE: name the file of a database");
  if (text.starts_with("sqlite:")) return at(Kind::sqlite, without("sqlite:"));
  for (const std::string_view uri : {"redis://", "redis+unix://"})
    if (text.starts_with(uri) && text.size() > uri.size()) return at(Kind::redis, text);
  if (text.starts_with("rediss:"))
    throw std::invalid_argument(
        "--store: this program has no TLS of its own for Redis; name a tunnel's end as redis://");
  if (text.starts_with("redis:") || text.starts_with("redis+unix:"))
    throw std::invalid_argument(
        "--store redis://HOST[:PORT][,HOST[:PORT]...][/DATABASE], or redis+unix:///SOCKET");
  if (text.starts_with("file:"))
    text.remove_prefix(5);
  else if (has_scheme(text))
    throw std::invalid_argument(
        "--store begins with file:, sqlite:, postgres: or redis:, or names a directory; one with a colon in "
        "its "
        "name is file:NAME");
  if (text.empty()) throw std::invalid_argument("--store DIR: name the directory of a store");
  return at(Kind::file, text);
}

}  // namespace common
