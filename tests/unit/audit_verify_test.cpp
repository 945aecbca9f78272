// What a verification finds of all that can be done to an audit log, and what it does not: each statement of
// docs/audit.md. The forgeries are as good as they can be: every checksum and, without the secret, every
// digest is computed again.

#include <paidonce/audit/verify.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <paidonce/key_digest.hpp>
#include "support/catch.hpp"
#include "support/log_builder.hpp"
#include "support/memory_files.hpp"

using namespace paidonce;
using support::LogBuilder;

namespace {

namespace format = paidonce::file_format;

constexpr const char* secret = "a secret of the log's own, 32 b.";

std::string body_of(const AuditEntry& entry) {
  std::string body(audit_format::body_size(entry), '\0');
  audit_format::encode_body(entry, body.data());
  return body;
}

/// Entries as a log has them, and any other.
struct Forger {
  explicit Forger(std::string_view its_secret = {}, unsigned char its_log = 0x51)
      : chain(its_secret), log(its_log) {
    AuditEntry opened;
    opened.kind = AuditKind::opened;
    opened.name = LogBuilder::id(log);
    opened.at = Timestamp(Duration(1'700'000'000'000));
    add(opened);
  }

  void add(const AuditEntry& entry) {
    std::string bytes(audit_format::longest_entry, '\0');
    bytes.resize(chain.append(head, body_of(entry), bytes.data()));
    entries.push_back(bytes);
    heads.push_back(head);
  }
  void add(const std::string& key, AuditKind kind = AuditKind::completed) {
    AuditEntry entry;
    entry.kind = kind;
    entry.name = audit_name(IdempotencyKey("shop", key));
    entry.at = Timestamp(Duration(1'700'000'000'000 + 1000 * static_cast<std::int64_t>(head.number)));
    entry.state = State::succeeded;
    entry.attempts = 1;
    entry.version = 17;
    entry.attempt_id = 4711;
    entry.amount = "12.34 EUR";
    entry.text = "by Ada: seen at the bank";
    add(entry);
  }

  /// The bodies, with numbers, digests and, as far as there is a secret, seals made again.
  void make_again(const detail::AuditChain& with) {
    std::vector<std::string> bodies;
    for (const std::string& bytes : entries)
      bodies.emplace_back(bytes.substr(0, audit_format::encoded_body_size(bytes.data())));
    entries.clear();
    heads.clear();
    head = {};
    for (std::string& body : bodies) {
      body[2] = static_cast<char>(body[2] & ~1);
      std::string bytes(audit_format::longest_entry, '\0');
      bytes.resize(with.append(head, body, bytes.data()));
      entries.push_back(bytes);
      heads.push_back(head);
    }
  }

  /// As files, with every checksum right.
  LogBuilder built() const {
    LogBuilder files(std::uint64_t{1} << 14U, log);
    files.newest().head.content = format::Content::audit;
    files.newest().write_head();
    for (const std::string& bytes : entries) files.group({{format::Kind::entry, bytes}});
    return files;
  }

  detail::AuditChain chain;
  unsigned char log;
  AuditHead head;
  std::vector<std::string> entries;
  std::vector<AuditHead> heads;
};

Forger log_of(std::size_t entries, std::string_view its_secret = {}, unsigned char id = 0x51) {
  Forger log(its_secret, id);
  while (log.entries.size() < entries) log.add("order-" + std::to_string(log.entries.size()));
  return log;
}

AuditReport verify(const support::FilesByName& names, AuditVerification against = {}) {
  support::MemoryFiles files(names);
  return detail::verify_audit_log_in(files, support::MemoryFiles::directory, against);
}
AuditReport verify(const Forger& log, AuditVerification against = {}) {
  return verify(log.built().files(), std::move(against));
}

AuditVerification with_secret(std::string its = secret) { return {.secret = std::move(its)}; }
AuditVerification with_anchor(const AuditHead& anchor) { return {.anchors = {anchor}}; }

}  // namespace

TEST_CASE("a log that nobody touched is whole, and read as it was written", "[audit][verify]") {
  for (const char* its_secret : {"", secret}) {
    const Forger log = log_of(5, its_secret);
    AuditVerification against = with_secret(its_secret);
    against.anchors = {log.heads[0], log.heads[2], log.head};
    std::vector<std::string> seen;
    against.on_entry = [&](const AuditEntry& entry) {
      seen.push_back(std::string(to_string(entry.kind)) + ' ' + std::string(entry.amount) + ' ' +
                     std::string(entry.text));
      CHECK(entry.number == seen.size());
      CHECK(entry.sealed == (*its_secret != 0));
      if (entry.number == 1) return;
      CHECK(entry.name == audit_name(IdempotencyKey("shop", "order-" + std::to_string(entry.number - 1))));
      CHECK(entry.state == State::succeeded);
      CHECK((entry.attempts == 1 && entry.version == 17 && entry.attempt_id == 4711));
    };
    const AuditReport report = verify(log, against);
    CHECK(report.damage.empty());
    CHECK(report.entries == 5);
    CHECK(report.head == log.head);
    CHECK(report.seals == (*its_secret != 0 ? AuditReport::Seals::right : AuditReport::Seals::none));
    CHECK(report.openings == 1);
    CHECK(report.last - report.first == Duration(4000));
    REQUIRE(seen.size() == 5);
    CHECK(seen[1] == "completed 12.34 EUR by Ada: seen at the bank");
  }
}

TEST_CASE("a sealed log that is read without its secret says that its seals were not checked",
          "[audit][verify]") {
  const AuditReport report = verify(log_of(3, secret));
  CHECK(report.whole());
  CHECK(report.seals == AuditReport::Seals::unchecked);
}

TEST_CASE("any byte of any entry that is changed is found, all checksums computed again", "[audit][verify]") {
  const Forger log = log_of(4, secret);
  for (std::size_t at = 0; at < log.entries.size(); ++at)
    for (std::size_t byte = 0; byte < log.entries[at].size(); ++byte) {
      Forger changed = log;
      changed.entries[at][byte] = static_cast<char>(changed.entries[at][byte] ^ 0x40);
      CAPTURE(at, byte);
      const bool in_seal = byte + audit_format::seal_size >= log.entries[at].size();
      if (in_seal)
        REQUIRE(verify(changed).whole());  // nothing to compare a seal with
      else
        REQUIRE_FALSE(verify(changed).whole());
      REQUIRE_FALSE(verify(changed, with_secret()).whole());
    }
}

TEST_CASE("any byte of the files that is changed is found, in the last group by an anchor alone",
          "[audit][verify]") {
  const Forger log = log_of(4);
  const LogBuilder built = log.built();
  const std::string name = format::segment_name(1);
  const support::FilesByName files = built.files();
  const std::uint64_t end = built.segments.at(1).end;
  std::vector<std::uint64_t> ends;
  for (const std::string& entry : log.entries)
    ends.push_back((ends.empty() ? format::segment_head_size : ends.back()) + format::frame_head_size +
                   entry.size());
  REQUIRE(ends.back() == end);
  const std::uint64_t last = ends.end()[-2];
  for (std::size_t byte = 0; byte < end; ++byte) {
    support::FilesByName changed = files;
    changed[name][byte] = static_cast<char>(changed[name][byte] ^ 0x40);
    CAPTURE(byte);
    AuditVerification against;
    std::uint64_t read = 0;
    against.on_entry = [&](const AuditEntry&) { ++read; };
    const AuditReport report = verify(changed, against);
    REQUIRE(report.entries == read);
    if (byte < last) {
      REQUIRE_FALSE(report.whole());
      const std::size_t before = static_cast<std::size_t>(  // frames that end before the damage
          std::count_if(ends.begin(), ends.end(), [&](std::uint64_t ended) { return ended <= byte; }));
      REQUIRE(report.entries == before);
      REQUIRE_THAT(report.damage, support::contains("as evidence") && !support::contains("backup"));
    } else {
      REQUIRE(report.entries == 3);  // as if it had been torn
      REQUIRE_FALSE(verify(changed, with_anchor(log.head)).whole());
    }
  }
}

TEST_CASE("an entry that is dropped or moved within the log is found", "[audit][verify]") {
  const Forger log = log_of(6);
  const auto damage_after = [&](const std::function<void(std::vector<std::string>&)>& change) {
    Forger changed = log;
    change(changed.entries);
    const std::string as_it_is = verify(changed).damage;
    for (std::size_t at = 0; at < changed.entries.size(); ++at)  // and with its new number
      audit_format::set_number(changed.entries[at].data(), at + 1);
    CHECK_FALSE(verify(changed).whole());
    return as_it_is;
  };
  CHECK_THAT(damage_after([](auto& all) { all.erase(all.begin() + 2); }), support::contains("entry 3"));
  CHECK_THAT(damage_after([](auto& all) { std::swap(all[2], all[3]); }), support::contains("entry 3"));
  CHECK_THAT(damage_after([](auto& all) { all.insert(all.begin() + 3, all[2]); }),
             support::contains("entry 4"));
  CHECK_THAT(damage_after([](auto& all) { all.erase(all.begin()); }), support::contains("entry 1"));
}

TEST_CASE("an entry with another number than its place is found, its digest computed for that",
          "[audit][verify]") {
  Forger log = log_of(3);
  log.head.number = 6;  // entry 4 says that it is entry 7
  log.add("order-7");
  CHECK_THAT(verify(log).damage, support::contains("it was entry 7, and stands in another place"));
}

TEST_CASE("an end that is cut off is found by an anchor, and by nothing else", "[audit][verify]") {
  const Forger log = log_of(6, secret);
  Forger cut = log;
  cut.entries.resize(4);
  CHECK(verify(cut).whole());
  CHECK(verify(cut, with_secret()).whole());
  AuditVerification against = with_secret();
  against.anchors = {log.heads[4]};
  CHECK_THAT(verify(cut, against).damage,
             support::contains("ends with entry 4, and it had entry 5") && support::contains("older copy"));
  against.anchors = {log.heads[3]};
  CHECK(verify(cut, against).whole());
}

TEST_CASE("entries of another log are found, and so is another log in place of this one", "[audit][verify]") {
  const Forger log = log_of(6), other = log_of(6, {}, 0x71);
  Forger spliced = log;
  spliced.entries[3] = other.entries[3];
  CHECK_THAT(verify(spliced).damage, support::contains("entry 4"));
  spliced = log;
  spliced.entries = other.entries;  // in this one's files
  CHECK_THAT(verify(spliced).damage, support::contains("other files"));

  CHECK(verify(other).whole());
  CHECK_THAT(verify(other, with_anchor(log.heads[2])).damage, support::contains("made again"));
  CHECK_FALSE(verify(log_of(6, "another secret"), with_secret()).whole());
}

TEST_CASE("a log that is made again without the secret is found by the secret or by an anchor",
          "[audit][verify]") {
  const Forger log = log_of(6, secret);
  Forger forged = log;
  forged.entries[3][audit_format::fixed_size] = '9';  // the amount
  forged.make_again(detail::AuditChain({}));
  CHECK(verify(forged).whole());  // nothing to hold it against
  CHECK_THAT(verify(forged, with_secret()).damage, support::contains("without the secret"));
  CHECK_THAT(verify(forged, with_anchor(log.heads[4])).damage, support::contains("entry 5"));
  CHECK_THAT(verify(forged, with_anchor(log.heads[2])).damage, support::contains("entry 3"));  // unsealed

  forged.make_again(detail::AuditChain("guessed"));
  CHECK_THAT(verify(forged, with_secret()).damage, support::contains("not made with this secret"));

  // From the changed entry on only: the seals before it are right.
  Forger half = log;
  half.entries[3] = forged.entries[3];
  CHECK_FALSE(verify(half, with_secret()).whole());
  half = log;
  half.entries.resize(3);
  half.head = log.heads[2];
  half.chain = detail::AuditChain({});
  half.add("forged");
  CHECK_THAT(verify(half).damage, support::contains("not sealed, and those before it are"));
}

TEST_CASE("an older copy of the directory is a right log without an anchor", "[audit][verify]") {
  Forger log = log_of(4, secret);
  const support::FilesByName older = log.built().files();
  log.add("order-4");
  CHECK(verify(older, with_secret()).whole());
  CHECK_FALSE(verify(older, with_anchor(log.head)).whole());
}

TEST_CASE("what is no entry is damage, whatever it is", "[audit][verify]") {
  const Forger log = log_of(2);
  for (const std::string& bytes : {std::string(), std::string(64, '\0'), log.entries[1] + 'x',
                                   log.entries[1].substr(0, log.entries[1].size() - 1)}) {
    Forger changed = log;
    changed.entries.push_back(bytes);
    CHECK_THAT(verify(changed).damage, support::contains("entry 3") && support::contains("no entry"));
  }
  Forger changed = log_of(1);
  changed.entries.clear();
  changed.head = {};
  changed.add("x");  // begins without an opening
  CHECK_THAT(verify(changed).damage, support::contains("begins with its opening"));
}

TEST_CASE("a directory of something else is no audit log", "[audit][verify]") {
  CHECK_THROWS_MATCHES(verify(support::FilesByName()), Error,
                       support::has_code<Error>(errc::invalid_options));
  LogBuilder store;
  store.put("a");
  CHECK_THROWS_MATCHES(verify(store.files()), Error, support::has_code<Error>(errc::unsupported_format));
  LogBuilder with_a_record = log_of(3).built();
  with_a_record.put("a");
  CHECK_THAT(verify(with_a_record.files()).damage, support::contains("does not add up"));
}

TEST_CASE("what the log says of itself is counted", "[audit][verify]") {
  Forger log = log_of(2);
  AuditEntry entry;
  const auto add = [&](AuditKind kind, std::uint64_t version = 0) {
    entry.kind = kind;
    entry.version = version;
    log.add(entry);
  };
  add(AuditKind::closed);
  CHECK(verify(log).closed);
  add(AuditKind::opened);
  add(AuditKind::lost, 7);
  add(AuditKind::lost, 5);
  add(AuditKind::resumed);
  add(AuditKind::opened);
  const AuditReport report = verify(log);
  CHECK(report.openings == 3);
  CHECK(report.unclean_ends == 1);
  CHECK(report.lost == 12);
  CHECK(report.interruptions == 1);
  CHECK_FALSE(report.closed);
}

TEST_CASE("a head is written and read as text", "[audit][verify]") {
  const AuditHead head = log_of(12).head;
  const std::string text = to_string(head);
  CHECK(text.size() == 3 + 64);
  CHECK(text.starts_with("12:"));
  CHECK(audit_head_from(text) == head);
  for (const std::string& wrong :
       {std::string(), std::string("12"), text + 'a', text.substr(1, 1), text.substr(0, 66), ':' + text,
        "-" + text, "12:" + std::string(64, 'g'), "12:" + std::string(64, 'A'),
        "99999999999999999999:" + std::string(64, '0')})
    CHECK_THROWS_MATCHES(audit_head_from(wrong), Error, support::has_code<Error>(errc::invalid_options));
}

TEST_CASE("a key is known by its digest, or by nobody without the secret", "[audit][verify]") {
  const IdempotencyKey key("shop", "order-1");
  const auto digits = [](const AuditName& name) {
    std::string text(16, '0');
    detail::hex(name.data(), 8, text.data());
    return text;
  };
  CHECK(digits(audit_name(key)) == key_digest(key));
  CHECK(audit_name(key, secret) != audit_name(key));
  CHECK(audit_name(key, secret) != audit_name(key, "another"));
  CHECK(audit_name(key, secret) == detail::AuditChain(secret).name(key, AuditKeys::keyed));
  CHECK_THROWS_AS(audit_name(key, ""), Error);
  // Who may choose keys sees the names of them: none is a seal.
  detail::Digest digest;
  std::memcpy(digest.data(), "\x03shopchosen-by-somebody-elsewhere", digest.size());
  const IdempotencyKey chosen = IdempotencyKey::from_bytes(detail::AuditChain::view(digest));
  const detail::Digest seal = detail::AuditChain(secret).seal(digest);
  CHECK(std::memcmp(audit_name(chosen, secret).data(), seal.data(), 16) != 0);
}

TEST_CASE("the bytes on the page are those of an audit log", "[audit][format]") {
  std::ifstream page(PAIDONCE_DOCS "/audit.md");
  std::string bytes;
  bool inside = false;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("```")) {
      inside = line == "```hex";
    } else if (inside) {
      for (std::size_t at = 0; at + 1 < line.size() && line[at] != ' '; at += 3)
        bytes += static_cast<char>(std::stoi(line.substr(at, 2), nullptr, 16));
    }
  }
  const Forger log = log_of(2, secret);
  const std::string expected = log.entries[0] + log.entries[1];
  REQUIRE(bytes.size() == expected.size());
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    CAPTURE(at);
    REQUIRE(static_cast<int>(bytes[at]) == static_cast<int>(expected[at]));
  }
}
