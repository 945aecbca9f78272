// The snippets about the audit log.

#include <paidonce/audit/audit_log.hpp>
#include <paidonce/audit/verify.hpp>
#include <paidonce/paidonce.hpp>
#include <paidonce/stores/file.hpp>

#include <filesystem>
#include <iostream>
#include <string>

#include "support/catch.hpp"
#include "support/scratch_directory.hpp"

namespace audit {

std::string secret_of_the_log() { return std::string(32, 's'); }
void publish(const std::string&) {}

// [verify]
using namespace paidonce;

bool is_whole(const std::filesystem::path& directory, std::string_view published) {
  AuditVerification against;
  against.secret = secret_of_the_log();
  against.anchors = {audit_head_from(published)};
  const AuditReport report = verify_audit_log(directory, against);
  if (!report.whole()) std::cerr << report.damage << '\n';  // what, and at which entry
  return report.whole() && report.seals == AuditReport::Seals::right;
}
// [/verify]

// [trail]
std::size_t print_trail(const std::filesystem::path& directory, const IdempotencyKey& key) {
  std::size_t entries = 0;
  AuditVerification reading;
  reading.on_entry = [&, name = audit_name(key)](const AuditEntry& entry) {
    if (entry.name != name) return;
    std::cout << entry.at.time_since_epoch().count() << ' ' << to_string(entry.kind) << ' '
              << (entry.state ? to_string(*entry.state) : "-") << ' ' << entry.text << '\n';
    ++entries;
  };
  static_cast<void>(verify_audit_log(directory, reading));
  return entries;
}
// [/trail]

}  // namespace audit

TEST_CASE("an audit log is kept, published and verified", "[docs]") {
  using namespace audit;
  const ScratchDirectory in;
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(in.path());
  const IdempotencyKey key("shop", "1");
  std::string published;
  {
    // [use]
    AuditLogOptions options;
    options.secret = secret_of_the_log();  // 32 random bytes
    AuditLog audit{"payments.audit", options};
    IdempotencyGuard guard{MemoryStore{}, KeyedMutex{}, SystemClock{}, GuardOptions{}, audit};
    // [/use]
    CHECK(guard.execute(key, fingerprint("a"), [] { return 1; }).succeeded());
    CHECK(audit.flush());
    // [publish]
    publish("audit head " + to_string(audit.head()));  // to a log, a mail, another host
    // [/publish]
    published = to_string(audit.head());
  }
  CHECK(is_whole("payments.audit", published));
  CHECK(print_trail("payments.audit", key) == 2);
  {
    // [rotate]
    AuditLogOptions options;
    options.secret = secret_of_the_log();
    options.continues = verify_audit_log("payments.audit").head;  // closed, and not written any more
    AuditLog audit{"payments.audit.2", options};
    // [/rotate]
    CHECK(audit.head().number == 1);
  }
  const auto second = verify_audit_log("payments.audit.2");
  CHECK(second.whole());
  CHECK(is_whole("payments.audit", to_string(second.continues.value())));
  std::filesystem::current_path(before);
}
