#include "store_reader.hpp"

#include <charconv>
#include <string_view>

#include <paidonce/key_digest.hpp>

namespace paidonce_admin {

StoreDamaged::StoreDamaged(const std::string& problem) : std::runtime_error(problem) {
  // The library's errors of a damaged log begin with "<file>, offset <number>: ".
  const std::string_view text = problem;
  constexpr std::string_view marker = ", offset ";
  const std::size_t comma = text.find(marker);
  if (comma == std::string_view::npos) return;
  const char* const digits = text.data() + comma + marker.size();
  const auto [end, wrong] = std::from_chars(digits, text.data() + text.size(), offset);
  if (wrong == std::errc{} && end != text.data() + text.size() && *end == ':') file = text.substr(0, comma);
}

std::vector<Entry> StoreReader::find(const Which& which) const {
  std::vector<Entry> found;
  if (which.digest) {
    const auto look = [&](const Wanted& among) {
      each(among, [&](const Entry& entry) {
        if (paidonce::key_digest(entry.key) == *which.digest) found.push_back(entry);
      });
    };
    look({.states = {paidonce::State::in_progress, paidonce::State::in_doubt}});  // alerts are about these
    if (found.empty()) look({});
  } else if (which.scope) {
    constexpr std::size_t longest = paidonce::IdempotencyKey::max_size;
    if (which.key->empty() || which.key->size() > longest || which.scope->size() > longest) return found;
    const paidonce::IdempotencyKey key(*which.scope, *which.key);
    if (auto record = find(key)) found.push_back({key, *std::move(record)});
  } else {
    each({.key_ends_with = *which.key}, [&](const Entry& entry) {
      if (entry.key.text() == *which.key) found.push_back(entry);
    });
  }
  return found;
}

std::unique_ptr<StoreReader> look_at(const StoreAddress& address) {
  switch (address.kind) {
    case StoreAddress::Kind::sqlite: return look_at_sqlite(address);
    case StoreAddress::Kind::postgres: return look_at_postgres(address);
    case StoreAddress::Kind::redis: return look_at_redis(address);
    case StoreAddress::Kind::file: break;
  }
  return look_at_files(address);
}

}  // namespace paidonce_admin
