#include "snapshot.hpp"

#include <cerrno>
#include <charconv>
#include <system_error>
#include <utility>

#include <paidonce/digest/hex.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/key_digest.hpp>
#include <paidonce/stores/file/recovery.hpp>

#include "escape.hpp"
#include "exit.hpp"
#include "read_only_files.hpp"

namespace paidonce_admin {
namespace {

namespace format = paidonce::file_format;
using paidonce::detail::OpenFile;

OpenFile<ReadOnlyFiles> open_directory(ReadOnlyFiles& files, const std::filesystem::path& path) {
  const std::string name = escaped(path.native());
  std::error_code wrong;
  const std::filesystem::path real = std::filesystem::canonical(path, wrong);
  const int opened = wrong ? -1 : files.open_at(AT_FDCWD, real.c_str(), O_RDONLY | O_DIRECTORY);
  if (!wrong && opened < 0) wrong = {errno, std::generic_category()};
  if (wrong == std::errc::no_such_file_or_directory || wrong == std::errc::not_a_directory)
    throw Refusal(Exit::bad_usage, "there is no store: cannot open " + name + ": " + wrong.message());
  if (wrong) throw std::system_error(wrong, "cannot open " + name);
  OpenFile<ReadOnlyFiles> directory(files, opened);
  if (files.lock(opened, LOCK_SH | LOCK_NB) == 0) return directory;
  if (errno != EWOULDBLOCK) throw std::system_error(errno, std::generic_category(), "cannot lock " + name);
  throw Refusal(Exit::in_use,
                name +
                    " is open in another process, such as your service: to look, copy the directory and "
                    "name the copy; to change something, end that process first");
}

/// The bytes of the key in what was written for a record.
std::string key_of(std::string_view payload) {
  const auto layout = paidonce::detail::packed_layout(payload);
  return layout ? std::string(layout->key) : std::string();
}

std::string hex(const format::StoreId& id) {
  std::string text(2 * id.size(), '0');
  paidonce::detail::hex(id.data(), id.size(), text.data());
  return text;
}

}  // namespace

StoreDamaged::StoreDamaged(const std::string& problem) : std::runtime_error(problem) {
  // The library's errors of damage begin with "<file>, offset <number>: ".
  const std::string_view text = problem;
  constexpr std::string_view marker = ", offset ";
  const std::size_t comma = text.find(marker);
  if (comma == std::string_view::npos) return;
  const char* const digits = text.data() + comma + marker.size();
  const auto [end, wrong] = std::from_chars(digits, text.data() + text.size(), offset);
  if (wrong == std::errc{} && end != text.data() + text.size() && *end == ':') file = text.substr(0, comma);
}

Snapshot::Snapshot(const std::filesystem::path& path) {
  ReadOnlyFiles files;
  const auto directory = open_directory(files, path);
  const auto apply = [this](format::Kind kind, format::Sequence, std::string_view payload) {
    log_.bytes += format::frame_head_size + payload.size();
    if (kind == format::Kind::put) payloads_.insert_or_assign(key_of(payload), std::string(payload));
    if (kind == format::Kind::erase) payloads_.erase(std::string(payload));
  };
  try {
    const auto log = paidonce::detail::recover_log(files, directory.fd(), apply, [](auto...) {});
    if (log.segments.empty())
      throw Refusal(Exit::bad_usage, "there is no store in " + escaped(path.native()));
    log_.store_id = hex(log.store);
    log_.segments = log.segments.size();
    log_.frames = log.frames;
    log_.bytes += log_.segments * format::segment_head_size;
    log_.cut_bytes = log.cut_bytes;
    log_.closed = log.closed;
    log_.leftovers = log.leftovers;
    log_.others = log.others;
  } catch (const paidonce::Error& error) {
    if (error.code() == paidonce::errc::store_corrupt) throw StoreDamaged(error.what());
    throw;
  }
  for (const auto& [key, payload] : payloads_) log_.live_bytes += format::frame_head_size + payload.size();
  std::vector<std::string> names;
  files.list(directory.fd(), names);
  for (const std::string& name : names)
    if (name == format::temporary_name || format::number_of_segment(name))
      log_.disk_bytes += paidonce::detail::LogFile<ReadOnlyFiles>(files, directory.fd(), name).size();
}

std::vector<Entry> Snapshot::find(const Which& which) const {
  std::vector<Entry> found;
  for (const auto& [bytes, payload] : payloads_) {
    const auto key = paidonce::IdempotencyKey::from_bytes(bytes);
    const bool named = which.digest
                           ? paidonce::key_digest(key) == *which.digest
                           : key.text() == *which.key && (!which.scope || key.scope() == *which.scope);
    if (named) found.push_back(unpacked(payload));
  }
  return found;
}

std::optional<paidonce::Record> Snapshot::find(const paidonce::IdempotencyKey& key) const {
  const auto found = payloads_.find(std::string(key.bytes()));
  if (found == payloads_.end()) return std::nullopt;
  return unpacked(found->second).record;
}

void Snapshot::refuse_to_write() {
  throw paidonce::Error(paidonce::errc::store_unavailable, "this store is only read");
}

Entry Snapshot::unpacked(std::string_view payload) {
  auto [key, record] = paidonce::detail::unpack_payload(payload);
  return {std::move(key), std::move(record)};
}

}  // namespace paidonce_admin
