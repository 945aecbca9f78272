// File stores: the directory as it stands, read from the first byte of its log to the last.

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <unordered_map>
#include <utility>

#include <sys/stat.h>
#include <unistd.h>

#include <paidonce/digest/hex.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/stores/file.hpp>
#include <paidonce/stores/file/recovery.hpp>

#include "escape.hpp"
#include "exit.hpp"
#include "read_only_files.hpp"
#include "store_reader.hpp"

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
  if (wrong == std::errc::not_a_directory)
    throw Refusal(Exit::bad_usage, "there is no store: cannot open " + name + ": " + wrong.message() +
                                       "; a SQLite database is named as sqlite:FILE");
  if (wrong == std::errc::no_such_file_or_directory)
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

/// Throws `Refusal{in_use}`, and what opening throws.
paidonce::FileStore opened(const std::filesystem::path& directory) {
  try {
    // What is done here is brief: nothing else is to move records meanwhile, which a sweep would pass over.
    return paidonce::FileStore(directory, {.housekeeping = paidonce::Housekeeping::by_hand});
  } catch (const paidonce::Error& error) {
    if (error.code() != paidonce::errc::store_busy) throw;
    throw Refusal(Exit::in_use,
                  escaped(directory.native()) +
                      " was opened by another process, such as your service, in the meantime, and nothing "
                      "was changed: end that process first, or leave this to it");
  }
}

/// What the log held when it was looked at. Nobody could open the store meanwhile; it is not held afterwards.
class FileReader final : public StoreReader {
 public:
  explicit FileReader(const std::filesystem::path& directory);

  const StoreKind& kind() const override {
    static constexpr StoreKind kind = {"file", StoreKind::Use::by_one_process, "whose process is dead",
                                       "clock of this machine"};
    return kind;
  }
  About about() const override { return {"file", log_, {}}; }
  void each(const Wanted&, const Visit& visit) const override {
    for (const auto& [key, payload] : payloads_) visit(unpacked(payload));
  }
  std::optional<paidonce::Record> find(const paidonce::IdempotencyKey& key) const override {
    const auto found = payloads_.find(std::string(key.bytes()));
    if (found == payloads_.end()) return std::nullopt;
    return unpacked(found->second).record;
  }
  /// Nobody had the store open when it was read.
  bool holder_gone(const paidonce::IdempotencyKey&, const paidonce::Record& record) const override {
    return record.state == paidonce::State::in_progress;
  }
  std::string verify() const override { return "every frame of the log verifies"; }  // it was read
  void require_owner() const override;
  std::unique_ptr<OpenStore> open_for_changes() const override {
    return std::make_unique<OpenStoreOf<paidonce::FileStore>>(opened(directory_));
  }

 private:
  static Entry unpacked(std::string_view payload) {
    auto [key, record] = paidonce::detail::unpack_payload(payload);
    return {std::move(key), std::move(record)};
  }

  std::filesystem::path directory_;
  About::Log log_;
  std::unordered_map<std::string, std::string> payloads_;  // by the key's bytes
};

FileReader::FileReader(const std::filesystem::path& path) : directory_(path) {
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

/// The files that it makes there would keep that user's service out.
void FileReader::require_owner() const {
  struct ::stat status {};
  if (::stat(directory_.c_str(), &status) != 0)
    throw std::system_error(errno, std::generic_category(), "cannot look at " + escaped(directory_.native()));
  const ::uid_t me = ::geteuid();
  if (status.st_uid == me) return;
  const std::string owner = std::to_string(status.st_uid);
  throw Refusal(Exit::bad_usage, "the store belongs to user " + owner + ", and this runs as user " +
                                     std::to_string(me) +
                                     ", whose files would keep its service out: sudo -u '#" + owner +
                                     "' paidonce_admin ... changes it as its owner");
}

}  // namespace

std::unique_ptr<StoreReader> look_at_files(const StoreAddress& address) {
  return std::make_unique<FileReader>(address.place);
}

}  // namespace paidonce_admin
