// paidonce_admin audit: what it says of an audit log, and of one that somebody has been at.

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>
#include <paidonce/audit/chain.hpp>
#include <paidonce/key_digest.hpp>

#include "support/catch.hpp"
#include "support/log_builder.hpp"
#include "support/process.hpp"

using namespace integration;
using nlohmann::json;
using paidonce::AuditEntry;
using paidonce::AuditKind;
using paidonce::IdempotencyKey;
using Strings = std::vector<std::string>;
namespace fs = std::filesystem;

namespace {

const IdempotencyKey key("shop", "order-1");

struct AuditLog {
  TemporaryDirectory in;
  fs::path directory = in / "audit", secret = in / "secret";
  std::vector<paidonce::AuditHead> heads;

  /// Opened, begun, settled by a person, and a refusal.
  AuditLog() {
    std::ofstream(secret) << "its secret";
    const paidonce::detail::AuditChain chain("its secret");
    support::LogBuilder log(1 << 14);
    log.newest().head.content = paidonce::file_format::Content::audit;
    log.newest().write_head();
    paidonce::AuditHead head;
    for (const AuditKind kind :
         {AuditKind::opened, AuditKind::began, AuditKind::completed, AuditKind::refused}) {
      AuditEntry entry;
      entry.kind = kind;
      entry.at = paidonce::Timestamp(paidonce::Duration(1'777'809'600'000));
      entry.name = kind == AuditKind::opened ? support::LogBuilder::id(0x51) : paidonce::audit_name(key);
      if (kind == AuditKind::began) entry.state = paidonce::State::in_progress;
      if (kind == AuditKind::completed) {
        entry.state = paidonce::State::succeeded;
        entry.amount = "7.00 EUR";
        entry.text = "Ada: seen at the\nbank";
      }
      std::string body(paidonce::audit_format::body_size(entry), '\0');
      paidonce::audit_format::encode_body(entry, body.data());
      std::string bytes(paidonce::audit_format::longest_entry, '\0');
      bytes.resize(chain.append(head, body, bytes.data()));
      log.group({{paidonce::file_format::Kind::entry, bytes}});
      heads.push_back(head);
    }
    fs::create_directory(directory);
    for (const auto& [name, bytes] : log.files()) std::ofstream(directory / name, std::ios::binary) << bytes;
  }

  void damage() const {
    std::fstream file(directory / "log.0000000000000001", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(350);
    file.put('x');
  }

  Finished audit(Strings arguments) const {
    arguments.insert(arguments.begin(), {PAIDONCE_ADMIN, "audit"});
    arguments.push_back(directory.string());
    return run(arguments);
  }
  json audit_json(Strings arguments, int status = 0) const {
    arguments.push_back("--json");
    const Finished finished = audit(arguments);
    CHECK(finished.status == status);
    CHECK(finished.err.empty());
    return json::parse(finished.out);
  }
};

}  // namespace

TEST_CASE("an audit log is verified, with what it is held against", "[admin][audit]") {
  const AuditLog log;
  const json alone = log.audit_json({"verify"});
  CHECK((alone.at("whole") == true && alone.at("damage").is_null() && alone.at("seals") == "unchecked"));
  CHECK((alone.at("entries") == 4 && alone.at("openings") == 1 && alone.at("closed") == false));
  CHECK(alone.at("head") == to_string(log.heads[3]));
  CHECK(alone.at("first") == "2026-05-03T12:00:00.000Z");
  const Finished held = log.audit({"verify", "--secret-file", log.secret.string(), "--anchor",
                                   to_string(log.heads[1]), "--anchor", to_string(log.heads[3])});
  CHECK(held.status == 0);
  CHECK_THAT(held.out, support::starts_with("whole") && support::contains("right: made with this secret") &&
                           support::contains("2 are in it"));
  paidonce::AuditHead gone = log.heads[3];
  ++gone.number;
  const json cut = log.audit_json({"verify", "--anchor", to_string(gone)}, 4);
  CHECK((cut.at("whole") == false && cut.at("entries") == 4));
  CHECK_THAT(cut.at("damage").get<std::string>(), support::contains("cut at its end"));
  const Finished head = log.audit({"head"});
  CHECK(head.out == to_string(log.heads[3]) + '\n');
}

TEST_CASE("an audit log that was changed ends every command with status 4", "[admin][audit]") {
  const AuditLog log;
  log.damage();
  const Finished verified = log.audit({"verify"});
  CHECK(verified.status == 4);
  CHECK_THAT(verified.out, support::starts_with("DAMAGED  log.0000000000000001, offset") &&
                               support::contains("as evidence") && !support::contains("backup") &&
                               support::contains("before   these entries verified:\nentries  1, from 2026"));
  const Finished head = log.audit({"head"});
  CHECK(head.status == 4);
  CHECK(head.err.empty());
  CHECK_THAT(head.out, support::starts_with("DAMAGED  log.0000000000000001, offset"));
  const json no_head = log.audit_json({"head"}, 4);
  CHECK((no_head.at("head").is_null() && no_head.at("damage").is_string()));
  const json shown = log.audit_json({"show"}, 4);
  CHECK(shown.at("damage").is_string());
  REQUIRE(shown.at("entries").size() == 1);
  CHECK(shown.at("entries")[0].at("kind") == "opened");
  CHECK_THAT(log.audit({"show"}).out, support::starts_with("1 ") && support::contains("\nDAMAGED  log."));
  CHECK(log.audit({"show", "--key", "order-1", "--scope", "shop"}).status == 4);  // nobody knows
}

TEST_CASE("the entries of an audit log are shown, of one key or the last ones", "[admin][audit]") {
  const AuditLog log;
  const json all = log.audit_json({"show"}).at("entries");
  REQUIRE(all.size() == 4);
  CHECK(all[2].at("kind") == "completed");
  CHECK(all[2].at("state") == "succeeded");
  CHECK(all[2].at("amount") == "7.00 EUR");
  CHECK(all[2].at("text") == "Ada: seen at the\\x0abank");
  CHECK(all[3].at("text") == "key_reused");
  CHECK(log.audit_json({"show", "--key", "order-1", "--scope", "shop"}).at("entries").size() == 3);
  CHECK(log.audit_json({"show", "--digest", paidonce::key_digest(key)}).at("entries").size() == 3);
  std::string capitals = paidonce::key_digest(key);
  for (char& letter : capitals) letter = static_cast<char>(std::toupper(static_cast<unsigned char>(letter)));
  CHECK(log.audit_json({"show", "--digest", capitals}).at("entries").size() == 3);
  CHECK(log.audit_json({"show", "--digest", all[2].at("name")}).at("entries").size() == 3);
  CHECK(log.audit_json({"show", "--limit", "0"}).at("entries").empty());
  const json last = log.audit_json({"show", "--limit", "1"}).at("entries");
  CHECK((last.size() == 1 && last[0].at("number") == 4));
  CHECK_THAT(log.audit({"show"}).out, support::contains("completed") && support::contains("7.00 EUR"));
}

TEST_CASE("a payment that an audit log has no entry of ends with status 1, and why it may be so",
          "[admin][audit]") {
  const AuditLog log;
  const auto none = [&](const Strings& arguments, const std::string& said) {
    const Finished finished = log.audit(arguments);
    CHECK(finished.status == 1);
    CHECK(finished.out.empty());
    CHECK(std::count(finished.err.begin(), finished.err.end(), '\n') == 1);
    CHECK_THAT(finished.err, support::contains(said));
  };
  none({"show", "--key", "order-1"},
       "no entry of this payment; a key that has a scope is found with its --scope");
  none({"show", "--key", "order-2", "--scope", "shop", "--json"}, "no entry of this payment\n");
  none({"show", "--digest", "0123456789abcdef"}, "no entry of this payment\n");
}

TEST_CASE("the option --json may stand before the word audit, or anywhere behind it", "[admin][audit]") {
  const AuditLog log;
  const std::string directory = log.directory.string();
  for (const Strings& arguments :
       {Strings{"--json", "audit", "head", directory}, Strings{"audit", "--json", "head", directory},
        Strings{"audit", "head", "--json", directory}}) {
    Strings command = arguments;
    command.insert(command.begin(), PAIDONCE_ADMIN);
    const Finished finished = run(command);
    CHECK(finished.status == 0);
    CHECK(json::parse(finished.out).at("head") == to_string(log.heads[3]));
  }
}

TEST_CASE("bad usage of the audit commands is one line, and nothing is made", "[admin][audit]") {
  const AuditLog log;
  const fs::path nowhere = log.in / "nowhere";
  for (const Strings& arguments :
       {Strings{"audit"}, Strings{"audit", "cut", "x"}, Strings{"audit", "verify"},
        Strings{"audit", "verify", nowhere.string()}, Strings{"audit", "verify", log.in.path().string()},
        Strings{"audit", "verify", log.directory.string(), "--anchor", "1:2"},
        Strings{"audit", "show", log.directory.string(), "--limit", "-3"},
        Strings{"audit", "show", log.directory.string(), "--digest", "zz"},
        Strings{"audit", "show", log.directory.string(), "--digest", "0123"},
        Strings{"audit", "show", log.directory.string(), "--scope", "shop"},
        Strings{"audit", "show", log.directory.string(), "--key", "a", "--digest", "0123456789abcdef"},
        Strings{"audit", "show", log.directory.string(), "--key", ""},
        Strings{"--yes", "audit", "verify", log.directory.string()},
        Strings{"--store", "store", "audit", "verify", log.directory.string()},
        Strings{"audit", "verify", log.directory.string(), "--secret-file", nowhere.string()},
        Strings{"audit", "verify", log.directory.string(), "--secret-file", "/dev/null"}}) {
    Strings command = arguments;
    command.insert(command.begin(), PAIDONCE_ADMIN);
    const Finished finished = run(command);
    CAPTURE(finished.err);
    CHECK(finished.status == 2);
    CHECK(std::count(finished.err.begin(), finished.err.end(), '\n') == 1);
  }
  CHECK_FALSE(fs::exists(nowhere));
  CHECK_THAT(run({PAIDONCE_ADMIN, "audit", "cut", "x"}).err,
             support::contains("cut is no command; name one: verify, show or head"));
  CHECK_THAT(run({PAIDONCE_ADMIN, "--yes", "audit", "verify", "x"}).err,
             support::contains("audit comes first"));
  CHECK(run({PAIDONCE_ADMIN, "audit", "--help"}).status == 0);
}
