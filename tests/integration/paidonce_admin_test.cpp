// paidonce_admin: what it says of a store's directory, and that it changes nothing there.

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <sys/stat.h>

#include <paidonce/paidonce.hpp>
#include <paidonce/provider_key.hpp>
#include <paidonce/stores/file.hpp>

#include "support/catch.hpp"
#include "support/pay_orders.hpp"
#include "support/slow_provider.hpp"

using namespace integration;
using nlohmann::json;
using paidonce::Duration;
using paidonce::IdempotencyKey;
using paidonce::Record;
using paidonce::State;
using paidonce::Timestamp;
using Strings = std::vector<std::string>;
namespace fs = std::filesystem;

namespace {

Finished inspect(const fs::path& directory, const Strings& arguments = {}) {
  Strings command = {PAIDONCE_ADMIN, directory.string()};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return run(command);
}

json inspect_json(const fs::path& directory, Strings arguments) {
  arguments.push_back("--json");
  const Finished finished = inspect(directory, arguments);
  CHECK(finished.status == 0);
  CHECK(finished.err.empty());
  return json::parse(finished.out);
}

/// A record that changed so many seconds after 3 May 2026, noon. Retentions of these days are over.
Record record(State state, int second) {
  const Timestamp noon{Duration(1'777'809'600'000)};
  Record record;
  record.fingerprint = paidonce::fingerprint("what was asked for");
  record.state = state;
  record.version = 9'007'199'254'740'993;  // that a double rounds
  record.attempt_id = 0xabc;
  record.attempts = 2;
  record.created_at = noon;
  record.updated_at = noon + Duration(1000 * second);
  record.lease_until = noon + Duration(30'000);
  const bool unfinished = state == State::in_progress || state == State::in_doubt;
  if (!unfinished) record.expires_at = noon + Duration(86'400'000);
  return record;
}

using Records = std::vector<std::pair<IdempotencyKey, Record>>;

void write_store(const fs::path& directory, const Records& records) {
  paidonce::FileStore store(directory, {.housekeeping = paidonce::Housekeeping::by_hand});
  for (const auto& [key, record] : records) CHECK_FALSE(store.insert(key, record));
}

Records one_of_each() {
  Records records;
  int second = 0;
  for (const State state :
       {State::released, State::declined, State::succeeded, State::in_doubt, State::in_progress})
    records.emplace_back(IdempotencyKey("shop", std::string(to_string(state))), record(state, second++));
  records.emplace_back(IdempotencyKey("", "kept"), record(State::succeeded, second));
  records.back().second.expires_at = Timestamp(Duration(32'503'680'000'000));  // in the year 3000
  return records;
}

/// What is to be the same before and after: of every file its bytes, and of all that there is to know of it
/// what a program that reads leaves alone.
std::map<std::string, std::string> state_of(const fs::path& directory) {
  std::map<std::string, std::string> files;
  const auto add = [&](const fs::path& path) {
    struct ::stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    const auto time = [](const timespec& at) {
      return std::to_string(at.tv_sec) + '.' + std::to_string(at.tv_nsec);
    };
    files[path.string()] = std::to_string(status.st_ino) + ' ' + std::to_string(status.st_mode) + ' ' +
                           std::to_string(status.st_blocks) + ' ' + time(status.st_mtim) + ' ' +
                           time(status.st_ctim) + ' ' + (fs::is_directory(path) ? "" : content_of(path));
  };
  add(directory);
  for (const auto& entry : fs::directory_iterator(directory)) add(entry.path());
  return files;
}

fs::path first_segment(const fs::path& store) { return store / "log.0000000000000001"; }

}  // namespace

TEST_CASE("a store is summed up by state, and by what is live, expired and unfinished", "[paidonce_admin]") {
  const TemporaryDirectory files;
  const auto store = files / "store";
  write_store(store, one_of_each());
  const json summary = inspect_json(store, {});
  CHECK(summary.at("store").get<std::string>().size() == 32);
  const json& records = summary.at("records");
  CHECK(records.at("all") == 6);
  CHECK(records.at("live") == 3);  // what is unfinished never expires
  CHECK(records.at("expired") == 3);
  CHECK(records.at("unfinished") == 2);
  CHECK(records.at("oldest_unfinished") == "2026-05-03T12:00:03.000Z");
  CHECK(records.at("states").at("succeeded") == json({{"records", 2}, {"live", 1}, {"expired", 1}}));
  CHECK(records.at("states").at("in_progress") == json({{"records", 1}, {"live", 1}, {"expired", 0}}));
  const json& log = summary.at("log");
  CHECK(log.at("frames") == 7);  // with the one that says that it was closed
  CHECK(log.at("closed") == true);
  CHECK(log.at("cut_bytes") == 0);
  CHECK(log.at("live_bytes") < log.at("bytes"));
  CHECK(log.at("bytes") < log.at("disk_bytes"));

  const std::string table = inspect(store).out;
  CHECK_THAT(table, support::contains(
                        "open     2 payments are unfinished, in progress or in doubt; the oldest since "
                        "2026-05-03T12:00:03.000Z\n"));
  CHECK_THAT(table, support::contains("closed   yes\n"));
  CHECK_THAT(table, support::contains("\nsucceeded    2        1     1\n"));
  CHECK_THAT(table, support::contains("\nall          6        3     3\n"));
  CHECK(inspect(store, {"summary"}).out == table);
}

TEST_CASE("records are listed by state, oldest change first, up to a limit", "[paidonce_admin]") {
  const TemporaryDirectory files;
  const auto store = files / "store";
  write_store(store, one_of_each());
  const auto keys = [&](const Strings& arguments) {
    Strings found;
    Strings command = {"list"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    const json listed = inspect_json(store, command);
    for (const auto& entry : listed.at("records")) found.push_back(entry.at("key"));
    return found;
  };
  CHECK(keys({}) == Strings{"released", "declined", "succeeded", "in_doubt", "in_progress", "kept"});
  CHECK(keys({"--limit", "2"}) == Strings{"released", "declined"});
  CHECK(keys({"--limit", "0"}) == Strings{});
  CHECK(keys({"--state", "unfinished"}) == Strings{"in_doubt", "in_progress"});
  CHECK(keys({"--state", "declined", "--state", "succeeded"}) == Strings{"declined", "succeeded", "kept"});
  CHECK(keys({"--state", "succeeded", "--limit", "1"}) == Strings{"succeeded"});
  CHECK(inspect_json(store, {"list", "--limit", "2"}).at("matching") == 6);

  const std::string table = inspect(store, {"list", "--limit", "1"}).out;
  CHECK_THAT(table,
             support::contains("released  shop   released  -       2         2026-05-03T12:00:00.000Z  "
                               "2026-05-04T12:00:00.000Z\n"));
  CHECK_THAT(table, support::ends_with("\n1 record of 6: a higher --limit shows more\n"));
}

TEST_CASE("a record is shown with all that it holds", "[paidonce_admin]") {
  const TemporaryDirectory files;
  const auto store = files / "store";
  const IdempotencyKey key("shop", "order-1001");
  Record whole = record(State::succeeded, 4);
  whole.amount = "4.50 EUR";
  whole.description = "two cups";
  whole.checkpoint = "reserved";
  whole.response = std::string("\0receipt\n\\", 10);
  whole.response_format = "text/1";
  whole.note = "asked the provider";
  write_store(store, {{key, whole}});

  const json shown = inspect_json(store, {"show", "order-1001"});
  CHECK(shown == json({{"scope", "shop"},
                       {"key", "order-1001"},
                       {"state", "succeeded"},
                       {"attempts", 2},
                       {"amount", "4.50 EUR"},
                       {"description", "two cups"},
                       {"note", "asked the provider"},
                       {"created_at", "2026-05-03T12:00:00.000Z"},
                       {"updated_at", "2026-05-03T12:00:04.000Z"},
                       {"lease_until", "2026-05-03T12:00:30.000Z"},
                       {"expires_at", "2026-05-04T12:00:00.000Z"},
                       {"provider_key", paidonce::provider_key(key, whole.created_at)},
                       {"fingerprint", whole.fingerprint.hex()},
                       {"version", "9007199254740993"},
                       {"attempt_id", "0000000000000abc"},
                       {"checkpoint", "reserved"},
                       {"response", "\\x00receipt\\x0a\\\\"},
                       {"response_format", "text/1"}}));
  const std::string table = inspect(store, {"show", "order-1001", "--scope", "shop"}).out;
  CHECK_THAT(table, support::contains("\nresponse      \\x00receipt\\x0a\\\\\n"));
  CHECK_THAT(table, support::contains("\nprovider key  " + paidonce::provider_key(key, whole.created_at)));

  const Finished absent = inspect(store, {"show", "order-1002"});
  CHECK(absent.status == 1);
  CHECK(absent.out.empty());
  CHECK(inspect(store, {"show", "order-1001", "--scope", "inn"}).status == 1);
}

TEST_CASE("hostile keys are shown harmlessly, and found again by what is shown", "[paidonce_admin]") {
  const TemporaryDirectory files;
  const auto store = files / "store";
  const std::map<std::string, std::string> shown_as = {
      {"plain", "plain"},
      {"br\xc3\xb6tchen", "br\xc3\xb6tchen"},
      {"\xe2\x82\xac\xf0\x9f\x8d\xb0", "\xe2\x82\xac\xf0\x9f\x8d\xb0"},
      {std::string("nul\0", 4), "nul\\x00"},
      {"line\nbreak", "line\\x0abreak"},
      {"\x1b[2J", "\\x1b[2J"},
      {"back\\slash", "back\\\\slash"},
      {"\\x0a", "\\\\x0a"},
      {"\xff\xfe", "\\xff\\xfe"},
      {"\xc3", "\\xc3"},
      {"\xc0\xaf", "\\xc0\\xaf"},                    // longer than need be
      {"\xed\xa0\x80", "\\xed\\xa0\\x80"},           // half of a pair
      {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},  // beyond the last letter
      {"\xe2\x80\xae"
       "evil",
       "\\xe2\\x80\\xaeevil"},  // would be read from right to left
      {"\xc2\x9b"
       "31m",
       "\\xc2\\x9b31m"},  // colours, for some terminals
      {"quote\"'", "quote\"'"},
      {"-dash", "-dash"},
      {std::string(255, '\x01'), {}}};
  Records records;
  for (const auto& [text, shown] : shown_as)
    records.emplace_back(IdempotencyKey("", text), record(State::declined, 0));
  write_store(store, records);

  Strings listed;
  const json list = inspect_json(store, {"list"});
  for (const auto& entry : list.at("records")) listed.push_back(entry.at("key"));
  CHECK(listed.size() == shown_as.size());
  for (const auto& [text, shown] : shown_as) {
    CAPTURE(shown);
    if (!shown.empty()) CHECK(std::count(listed.begin(), listed.end(), shown) == 1);
  }
  for (const std::string& key : listed)
    CHECK(json::parse(inspect(store, {"--json", "--", "show", key}).out).at("key") == key);
  const std::string table = inspect(store, {"list"}).out;
  CHECK(std::none_of(table.begin(), table.end(),
                     [](char byte) { return byte >= 0 && byte < 0x20 && byte != '\n'; }));
  for (const char* wrong : {"\\", "\\x", "\\x0", "\\xg0", "\\n"})
    CHECK(inspect(store, {"show", wrong}).status == 2);
}

TEST_CASE("a key that several scopes have is shown by its scope", "[paidonce_admin]") {
  const TemporaryDirectory files;
  const auto store = files / "store";
  write_store(store, {{IdempotencyKey("a", "1"), record(State::declined, 0)},
                      {IdempotencyKey("b\n", "1"), record(State::succeeded, 0)}});
  const Finished both = inspect(store, {"show", "1"});
  CHECK(both.status == 2);
  CHECK_THAT(both.err, support::contains("choose with --scope"));
  CHECK(inspect_json(store, {"show", "1", "--scope", "a"}).at("state") == "declined");
  CHECK(inspect_json(store, {"show", "1", "--scope", "b\\x0a"}).at("state") == "succeeded");
}

TEST_CASE("no byte of a store is changed, and nothing in it needs to be writable", "[paidonce_admin]") {
  const TemporaryDirectory files;
  const auto store = files / "store";
  write_store(store, one_of_each());
  write_file(store / "note.txt", "not the store's");
  write_file(store / "log.tmp", "half made");
  for (const auto& file : fs::directory_iterator(store)) fs::permissions(file, fs::perms::owner_read);
  fs::permissions(store, fs::perms::owner_read | fs::perms::owner_exec);
  const auto before = state_of(store);
  REQUIRE(before.size() >= 4);
  for (const Strings& command : std::vector<Strings>{{},
                                                     {"summary"},
                                                     {"list"},
                                                     {"show", "kept"},
                                                     {"verify"},
                                                     {"verify", "--json"},
                                                     {"show", "absent"}}) {
    const int status = inspect(store, command).status;
    CHECK(status == (command == Strings{"show", "absent"} ? 1 : 0));
    CHECK(state_of(store) == before);
  }
  const json log = inspect_json(store, {"verify"}).at("log");
  CHECK(log.at("others") == json({"note.txt"}));
  CHECK(std::count(log.at("leftovers").begin(), log.at("leftovers").end(), json("log.tmp")) == 1);
  fs::permissions(store, fs::perms::owner_all);
}

TEST_CASE("a store in use is refused with status 3, and its copy is not", "[paidonce_admin]") {
  const TemporaryDirectory files;
  const auto store = files / "store";
  {
    paidonce::FileStore open(store, {.housekeeping = paidonce::Housekeeping::by_hand});
    CHECK_FALSE(open.insert(IdempotencyKey("", "a"), record(State::in_progress, 0)));
    const auto before = state_of(store);
    const Finished refused = inspect(store);
    CHECK(refused.status == 3);
    CHECK(refused.out.empty());
    CHECK_THAT(refused.err, support::contains("is open in another process: end that, or copy the directory"));
    CHECK(state_of(store) == before);
    fs::copy(store, files / "copy");
    const json copy = inspect_json(files / "copy", {});
    CHECK(copy.at("log").at("closed") == false);
    CHECK(copy.at("records").at("unfinished") == 1);
  }
  CHECK(inspect(store).status == 0);
}

TEST_CASE("what a killed pay_orders left is shown as in progress", "[paidonce_admin]") {
  const TemporaryDirectory files;
  const auto store = files / "store";
  SlowProvider provider;
  const auto input =
      write_file(files / "orders.csv", "order_id,amount,currency,source\na,4.50,EUR,tok_visa\n");
  const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  {
    Process process(
        {PAY_ORDERS, "--input", input.string(), "--gateway", provider.url(), "--store", store.string()},
        nowhere, nowhere);
    provider.await(1);
    process.signal(SIGKILL);
    CHECK(process.wait() == 128 + SIGKILL);
  }
  ::close(nowhere);
  const json shown = inspect_json(store, {"show", "a"});
  CHECK(shown.at("state") == "in_progress");
  CHECK(shown.at("scope") == "pay_orders");
  CHECK(shown.at("amount") == "4.50 EUR");
  CHECK(shown.at("provider_key") == provider.keys().at(0));
  CHECK_THAT(inspect(store).out, support::contains("closed   no: the process that had it open was killed"));
}

TEST_CASE("damage is reported with file and offset, and nothing else is shown", "[paidonce_admin]") {
  const TemporaryDirectory files;
  const auto store = files / "store";
  write_store(store, one_of_each());
  CHECK_THAT(inspect(store, {"verify"}).out,
             support::starts_with("whole    every frame of the log verifies\n"));
  std::string bytes = content_of(first_segment(store));
  const std::size_t second_frame = bytes.find("\xa7\x70\x6f", 129);
  REQUIRE(second_frame != std::string::npos);
  bytes[second_frame + 30] = static_cast<char>(bytes[second_frame + 30] ^ 1);
  write_file(first_segment(store), bytes);
  const auto before = state_of(store);

  const std::string where = "log.0000000000000001, offset " + std::to_string(second_frame) + ": ";
  for (const Strings& command : std::vector<Strings>{{}, {"list"}, {"show", "kept"}, {"verify"}}) {
    const Finished damaged = inspect(store, command);
    CHECK(damaged.status == 4);
    CHECK_THAT(damaged.out, support::starts_with("DAMAGED  " + where));
    CHECK(std::count(damaged.out.begin(), damaged.out.end(), '\n') == 1);
  }
  const Finished damaged = inspect(store, {"verify", "--json"});
  CHECK(damaged.status == 4);
  const json damage = json::parse(damaged.out).at("damage");
  CHECK(damage.at("file") == "log.0000000000000001");
  CHECK(damage.at("offset") == second_frame);
  CHECK_THAT(damage.at("problem").get<std::string>(), support::starts_with(where));
  CHECK(state_of(store) == before);

  fs::remove(first_segment(store));
  CHECK(inspect(store).status != 0);
}

TEST_CASE("bad usage and what is no store end with status 2, and say why", "[paidonce_admin]") {
  const TemporaryDirectory files;
  const auto store = files / "store";
  write_store(store, one_of_each());
  const auto refused = [](const fs::path& directory, const Strings& arguments, const std::string& said) {
    const Finished finished = inspect(directory, arguments);
    CAPTURE(directory, arguments);
    CHECK(finished.status == 2);
    CHECK(finished.out.empty());
    CHECK_THAT(finished.err, support::contains(said));
  };
  CHECK(run({PAIDONCE_ADMIN}).status == 2);
  refused(store, {"burn"}, "burn");
  refused(store, {"show"}, "show needs a KEY");
  refused(store, {"list", "key"}, "KEY goes with show alone");
  refused(store, {"list", "--scope", "a"}, "--scope goes with show alone");
  refused(store, {"verify", "--state", "declined"}, "--state and --limit go with list alone");
  refused(store, {"list", "--state", "lost"}, "lost");
  refused(store, {"list", "--limit", "-1"}, "--limit");
  fs::create_directory(files / "empty");
  refused(files / "empty", {}, "there is no store in");
  CHECK(fs::is_empty(files / "empty"));
  refused(files / "absent", {}, "No such file or directory");
  CHECK_FALSE(fs::exists(files / "absent"));
  refused(write_file(files / "file", "text"), {}, "Not a directory");
  CHECK(run({PAIDONCE_ADMIN, "--help"}).status == 0);

  const int full = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
  const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  CHECK(Process({PAIDONCE_ADMIN, store.string()}, full, nowhere).wait() == 2);
  ::close(full);
  ::close(nowhere);
}
