#pragma once
// The directory of a file store: made where there is none, held by one process at a time.

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <paidonce/errors.hpp>
#include <paidonce/stores/file/file_calls.hpp>
#include <paidonce/stores/file/format.hpp>
#include <paidonce/stores/file/options.hpp>

namespace paidonce::inline v1::detail {

/// The lock goes with the descriptor: it ends when this is destroyed, and when the process dies and no child
/// that it forked has the descriptor still. A child that closes its copy leaves the lock alone.
template <FilePolicy Files>
class StoreDirectory {
 public:
  /// Opens the directory, or makes it in a parent that is there. Throws `store_busy` where another handle
  /// has it, here or in another process, and what else is wrong.
  StoreDirectory(Files& files, const std::filesystem::path& path, NetworkDirectory network)
      : files_(files), path_(made(files, path)) {
    const int opened =
        uninterrupted([&] { return files_.open_at(AT_FDCWD, path_.c_str(), O_RDONLY | O_DIRECTORY); });
    if (opened < 0) throw_directory_error(errno, "cannot open the store's directory");
    directory_ = OpenFile<Files>(files_, opened);
    if (const int remote = files_.is_on_network(fd()); remote != 0 && network == NetworkDirectory::refused) {
      if (remote < 0) throw_file_error(errno, "cannot ask for the file system of the store's directory");
      throw Error(errc::unsafe_config,
                  "the store's directory is on a network file system, whose locks and syncs do not hold what "
                  "payments need: use a local disk, or a store for many hosts, or accept it with "
                  "FileStoreOptions::network_directory");
    }
    if (uninterrupted([&] { return files_.lock(fd(), LOCK_EX | LOCK_NB); }) != 0) {
      if (errno == EWOULDBLOCK)
        throw Error(errc::store_busy,
                    "another process, or another handle of this one, has the store open: one at a time may; "
                    "end it, or share its handle");
      throw_file_error(errno, "cannot lock the store's directory");
    }
    if (uninterrupted([&] { return files_.status(fd(), own_); }) != 0)
      throw_file_error(errno, "cannot look at the store's directory");
    check_same();
  }

  StoreDirectory(const StoreDirectory&) = delete;
  StoreDirectory& operator=(const StoreDirectory&) = delete;
  /// Children that were forked meanwhile have the descriptor too, and would keep the lock.
  ~StoreDirectory() { files_.lock(fd(), LOCK_UN); }

  int fd() const noexcept { return directory_.fd(); }

  /// Throws `store_replaced` where the path leads elsewhere by now, or nowhere.
  void check_same() const {
    struct ::stat now {};
    const int found = uninterrupted([&] { return files_.status_of(path_.c_str(), now); });
    if (found == 0 && now.st_dev == own_.st_dev && now.st_ino == own_.st_ino) return;
    if (found != 0 && errno != ENOENT && errno != ENOTDIR)
      throw_file_error(errno, "cannot look at the store's directory");
    throw Error(
        errc::store_replaced,
        path_ +
            ": the store's directory was moved, removed or replaced while it was open, so that nothing new "
            "is begun in it: put it back, or open the store again where it is now");
  }

  /// Throws `invalid_options` where `names`, what the directory holds beside a log, make it unlikely that a
  /// new store is meant to be made there.
  static void check_fit_for_new_store(const std::vector<std::string>& names) {
    for (const std::string& name : names)
      if (!name.starts_with('.') && name != "lost+found")
        throw Error(
            errc::invalid_options,
            "the directory holds files and no store: name an empty or a new directory for a new store, "
            "or the directory of the old one");
  }

  /// Makes the directory's own name durable, before anything in it is acknowledged. A parent that this user
  /// may not read is left to whoever has made the directory in it.
  void sync_parent() const {
    const int parent = uninterrupted([&] { return files_.open_at(fd(), "..", O_RDONLY | O_DIRECTORY); });
    if (parent < 0 && errno == EACCES && !is_made_here_) return;
    if (parent < 0) throw_file_error(errno, "cannot open the parent of the store's directory");
    const OpenFile<Files> open(files_, parent);
    if (uninterrupted([&] { return files_.sync(parent); }) != 0)
      throw_file_error(errno, "cannot sync the parent of the store's directory");
  }

 private:
  /// Where the path itself is wrong, trying again does not help.
  [[noreturn, gnu::cold]] static void throw_directory_error(int error, const char* what) {
    const char* why = nullptr;
    if (error == ENOENT) why = "the directory that it is to stand in is not there; make that one first";
    if (error == ENOTDIR) why = "a file stands in the way; name a directory";
    if (error == ENAMETOOLONG) why = "its name is too long";
    if (error == ELOOP) why = "there are too many links on the way to it";
    if (why) throw Error(errc::invalid_options, std::string(what) + ": " + why);
    throw_file_error(error, what);
  }

  /// The path without links, so that the check for replacement is of the directory itself.
  std::string made(Files& files, const std::filesystem::path& path) {
    if (path.empty() || path.native().find('\0') != std::string::npos)
      throw Error(errc::invalid_options, "the store needs the name of a directory, without NUL bytes");
    is_made_here_ = uninterrupted([&] { return files.make_directory(path.c_str()); }) == 0;
    if (!is_made_here_ && errno != EEXIST) throw_directory_error(errno, "cannot make the store's directory");
    std::error_code wrong;
    std::filesystem::path whole = std::filesystem::absolute(path, wrong);
    if (!wrong && std::is_same_v<Files, PosixFiles>) {
      std::filesystem::path real = std::filesystem::canonical(path, wrong);
      if (!wrong) whole = std::move(real);
    }
    return whole.string();
  }

  Files& files_;
  bool is_made_here_ = false;
  std::string path_;
  OpenFile<Files> directory_;
  struct ::stat own_ {};
};

}  // namespace paidonce::inline v1::detail
