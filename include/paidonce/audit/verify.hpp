#pragma once
// Verifies an audit log that nobody has open, and reads what it says. Opens files for reading only: nothing
// on the disk changes, also in a directory that holds no audit log.

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include <paidonce/audit/check.hpp>
#include <paidonce/audit/entry.hpp>
#include <paidonce/audit/read.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/stores/file/file_calls.hpp>
#include <paidonce/stores/file/files.hpp>
#include <paidonce/stores/file/recovered_log.hpp>

namespace paidonce::inline v1 {
namespace detail {

/// The log in an open directory. What `on_entry` throws comes out.
template <FilePolicy Files>
AuditReport verify_audit_log_in(Files& files, int directory, const AuditVerification& against) {
  const AuditChain chain(against.secret);
  AuditCheck check(against, chain);
  AuditReport report;
  try {
    const RecoveredLog log = read_audit_log(files, directory, check);
    if (log.segments.empty())
      throw Error(errc::invalid_options, "there is no audit log here: name its directory");
    check.end(log.store);
    report = check.report();
    report.cut_bytes = log.cut_bytes;
  } catch (const Error& error) {
    if (error.code() != errc::store_corrupt) throw;
    report = check.report();
    report.damage = text_of(error);
  }
  return report;
}

}  // namespace detail

/// Reads all of the log in `directory` and holds it against the secret and the anchors. What is wrong with
/// the log is in the report; thrown is what keeps it from being read: `invalid_options` where there is no
/// audit log, `unsupported_format` where there is a store or a newer format, `store_busy` while a process has
/// it open for writing (verify a snapshot of the directory then), `store_unavailable` for what the system
/// says.
template <FilePolicy Files = PosixFiles>
AuditReport verify_audit_log(const std::filesystem::path& directory, const AuditVerification& against = {},
                             Files files = {}) {
  try {
    std::error_code wrong;
    std::filesystem::path real =
        std::filesystem::canonical(directory, wrong);  // links are followed here alone
    if (wrong) real = directory;
    const int opened =
        detail::uninterrupted([&] { return files.open_at(AT_FDCWD, real.c_str(), O_RDONLY | O_DIRECTORY); });
    if (opened < 0) {
      if (errno == ENOENT || errno == ENOTDIR)
        throw Error(errc::invalid_options, "there is no such directory");
      detail::throw_file_error(errno, "cannot open the directory");
    }
    const detail::OpenFile<Files> open(files, opened);
    if (detail::uninterrupted([&] { return files.lock(opened, LOCK_SH | LOCK_NB); }) != 0) {
      if (errno != EWOULDBLOCK) detail::throw_file_error(errno, "cannot lock the directory");
      throw Error(errc::store_busy,
                  "a process has it open for writing: verify a snapshot of the directory, or end that "
                  "process");
    }
    return detail::verify_audit_log_in(files, opened, against);
  } catch (const Error& error) {
    detail::throw_named(error, "audit log " + directory.string());
  }
}

}  // namespace paidonce::inline v1
