#pragma once
// Reads the files of an audit log, which are those of a file store's log, in the words of an audit log.

#include <cstdint>
#include <string>
#include <string_view>

#include <paidonce/audit/check.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/stores/file/log_reader.hpp>
#include <paidonce/stores/file/recovery.hpp>

namespace paidonce::inline v1::detail {

/// What an error of the library says, without the name of its code behind it.
inline std::string text_of(const Error& error) {
  std::string text = error.what();
  const std::string behind = ": " + error.code().message();
  if (text.ends_with(behind)) text.resize(text.size() - behind.size());
  return text;
}

/// Damage to the files: a store would be restored from a backup, and an audit log is evidence.
inline std::string text_of_damage(const Error& error) {
  std::string text = text_of(error);
  if (!text.ends_with(what_to_do_about_damage)) return text;
  text.resize(text.size() - what_to_do_about_damage.size());
  return text +
         ". Nothing was changed. Keep the directory as it is, as evidence, and begin a new audit log in "
         "another one";
}

/// Hands all entries in a directory to `check`, in order, up to the end or to the damage. Throws as
/// `recover_chunks` and `AuditCheck`.
template <FilePolicy Files>
RecoveredLog read_audit_log(Files& files, int directory, AuditCheck& check) {
  try {
    return recover_chunks(
        files, directory, FramesWanted::all, {},
        [&](const LogChunk& chunk, auto...) {
          for (const LogFrame& frame : chunk.frames) check.take(frame.sequence, frame.payload);
        },
        [](std::uint64_t, std::uint64_t) {}, file_format::Content::audit);
  } catch (const Error& error) {
    if (error.code() != errc::store_corrupt) throw;
    throw Error(errc::store_corrupt, text_of_damage(error));
  }
}

}  // namespace paidonce::inline v1::detail
