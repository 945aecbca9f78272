#pragma once
// The hosts of a connection string, one by one: libpq tries the next only when one has failed, and connecting
// without blocking has no time limit for each. https://www.postgresql.org/docs/current/libpq-connect.html

#include <memory>
#include <string>
#include <vector>

#include <libpq-fe.h>

#include <paidonce/errors.hpp>

namespace paidonce::inline v1::detail {

/// One of several; empty is what libpq takes by itself.
struct PostgresHost {
  std::string host = {}, hostaddr = {}, port = {};
  friend bool operator==(const PostgresHost&, const PostgresHost&) = default;
};

/// "a,b" as a list of two. One port is the port of all hosts.
inline std::vector<std::string> split_list(const std::string& list) {
  std::vector<std::string> parts(1);
  for (const char c : list)
    if (c == ',')
      parts.emplace_back();
    else
      parts.back() += c;
  return parts;
}

/// At least one. Throws `invalid_options` for a string that libpq cannot read; it may hold a password, and is
/// not told.
inline std::vector<PostgresHost> hosts_of(const std::string& conninfo) {
  char* why = nullptr;
  const std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> options(
      PQconninfoParse(conninfo.c_str(), &why), PQconninfoFree);
  PQfreemem(why);
  if (!options)
    throw Error(
        errc::invalid_options,
        "the connection string is none that libpq can read: host=db.example dbname=shop user=payments");
  std::string host, hostaddr, port;
  for (const PQconninfoOption* option = options.get(); option->keyword; ++option) {
    if (!option->val) continue;
    const std::string keyword = option->keyword;
    if (keyword == "host") host = option->val;
    if (keyword == "hostaddr") hostaddr = option->val;
    if (keyword == "port") port = option->val;
  }
  const std::vector<std::string> names = split_list(host), addresses = split_list(hostaddr),
                                 ports = split_list(port);
  const std::size_t count = names.size() > addresses.size() ? names.size() : addresses.size();
  const auto fits = [&](const std::vector<std::string>& list) {
    return list.size() == 1 || list.size() == count;
  };
  if (!fits(names) || !fits(addresses) || !fits(ports) ||
      (count > 1 && ((!host.empty() && names.size() == 1) || (!hostaddr.empty() && addresses.size() == 1))))
    throw Error(errc::invalid_options,
                "the connection string has lists of hosts, addresses and ports that do not fit together");
  std::vector<PostgresHost> hosts;
  for (std::size_t i = 0; i < count; ++i)
    hosts.push_back({names[names.size() == 1 ? 0 : i], addresses[addresses.size() == 1 ? 0 : i],
                     ports[ports.size() == 1 ? 0 : i]});
  return hosts;
}

}  // namespace paidonce::inline v1::detail
