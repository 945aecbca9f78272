#include "open_store.hpp"

#include <cerrno>
#include <string>
#include <system_error>

#include <sys/stat.h>
#include <unistd.h>

#include "escape.hpp"
#include "exit.hpp"

template class paidonce::BasicFileStore<>;

namespace paidonce_admin {

void require_owner(const std::filesystem::path& directory) {
  struct ::stat status {};
  if (::stat(directory.c_str(), &status) != 0)
    throw std::system_error(errno, std::generic_category(), "cannot look at " + escaped(directory.native()));
  const ::uid_t me = ::geteuid();
  if (status.st_uid == me) return;
  const std::string owner = std::to_string(status.st_uid);
  throw Refusal(Exit::bad_usage, "the store belongs to user " + owner + ", and this runs as user " +
                                     std::to_string(me) +
                                     ", whose files would keep its service out: sudo -u '#" + owner +
                                     "' paidonce_admin ... changes it as its owner");
}

paidonce::FileStore open_store(const std::filesystem::path& directory) {
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

}  // namespace paidonce_admin
