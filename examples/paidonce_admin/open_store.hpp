#pragma once
// The store, open for changes: nobody else has it then.

#include <filesystem>

#include <paidonce/stores/file.hpp>

namespace paidonce_admin {

/// Throws `Refusal{bad_usage}` unless this process runs as the user who owns the store: the files that it
/// makes there would keep that user's service out.
void require_owner(const std::filesystem::path& directory);

/// Throws `Refusal{in_use}`, and what opening throws.
paidonce::FileStore open_store(const std::filesystem::path& directory);

}  // namespace paidonce_admin

extern template class paidonce::BasicFileStore<>;
