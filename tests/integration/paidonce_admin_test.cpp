// paidonce_admin: what it says of a store's directory, and that it changes nothing there unless it says so.

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <paidonce/key_digest.hpp>
#include <paidonce/paidonce.hpp>
#include <paidonce/provider_key.hpp>

#include "support/admin.hpp"
#include "support/catch.hpp"
#include "support/pay_orders.hpp"

using namespace integration;
using nlohmann::json;
using paidonce::IdempotencyKey;
using paidonce::Record;
using paidonce::State;
using Strings = std::vector<std::string>;
namespace fs = std::filesystem;

template class paidonce::BasicFileStore<>;

namespace {

fs::path first_segment(const fs::path& store) { return store / "log.0000000000000001"; }

}  // namespace

TEST_CASE("a survey tells what there is by state, by currency, live, expired and unfinished", "[admin]") {
  const TemporaryDirectory files;
  const auto store = files / "store";
  Records written = one_of_each();
  written[2].second.amount = "4.50 EUR";  // of those that succeeded
  written[5].second.amount = "0.25 EUR";
  written[3].second.amount = "7 JPY";
  written[4].second.amount = "much";
  write_store(store, written);
  const json survey = admin_json(store, {"survey"});
  CHECK(survey.at("store").get<std::string>().size() == 32);
  CHECK(survey.at("taken_at").get<std::string>().size() == 24);
  const json& records = survey.at("records");
  CHECK(records.at("all") == 6);
  CHECK(records.at("live") == 3);  // what is unfinished never expires
  CHECK(records.at("expired") == 3);
  CHECK(records.at("unfinished") == 2);
  CHECK(records.at("past_lease") == 1);
  CHECK(records.at("oldest_unfinished") == "2026-05-03T12:00:03.000Z");
  CHECK(records.at("oldest_in_doubt") == "2026-05-03T12:00:03.000Z");
  CHECK(records.at("earliest_begun") == "2026-05-03T12:00:00.000Z");
  CHECK(records.at("states").at("succeeded") ==
        json({{"records", 2},
              {"live", 1},
              {"expired", 1},
              {"amounts", {{{"currency", "EUR"}, {"records", 2}, {"amount", "4.75"}}}},
              {"without_amount", 0},
              {"unreadable_amount", 0}}));
  CHECK(records.at("states").at("in_progress").at("unreadable_amount") == 1);
  CHECK(records.at("states").at("in_doubt").at("amounts").at(0).at("amount") == "7");
  const json& log = survey.at("log");
  CHECK(log.at("frames") == 7);  // with the one that says that it was closed
  CHECK(log.at("closed") == true);
  CHECK(log.at("cut_bytes") == 0);
  CHECK(log.at("live_bytes") < log.at("bytes"));
  CHECK(log.at("bytes") < log.at("disk_bytes"));

  const std::string table = admin(store, {"survey"}).out;
  CHECK_THAT(table, support::contains(
                        "open     2 payments are unfinished, in progress or in doubt; the oldest since "
                        "2026-05-03T12:00:03.000Z\ndoubt    1 payment; the oldest since "));
  CHECK_THAT(table, support::contains("closed   yes\n"));
  CHECK_THAT(table, support::contains("\nsucceeded    2        1     1        4.75 EUR\n"));
  CHECK_THAT(table, support::contains("\nin_progress  1        1     0        1 without amount\n"));
  CHECK_THAT(table, support::contains("\nall          6        3     3\n"));
  CHECK(admin("file:" + store.string(), {"survey"}).status == 0);
}

TEST_CASE("records are listed by state, oldest change first, up to a limit", "[admin]") {
  const TemporaryDirectory files;
  const auto store = files / "store";
  write_store(store, one_of_each());
  const auto keys = [&](const Strings& arguments) {
    Strings found;
    Strings command = {"list"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    const json listed = admin_json(store, command);
    for (const auto& entry : listed.at("records")) found.push_back(entry.at("key"));
    return found;
  };
  CHECK(keys({}) == Strings{"released", "declined", "succeeded", "in_doubt", "in_progress", "kept"});
  CHECK(keys({"--limit", "2"}) == Strings{"released", "declined"});
  CHECK(keys({"--limit", "0"}) == Strings{});
  CHECK(keys({"--state", "unfinished"}) == Strings{"in_doubt", "in_progress"});
  CHECK(keys({"--state", "declined", "--state", "succeeded"}) == Strings{"declined", "succeeded", "kept"});
  CHECK(keys({"--state", "succeeded", "--limit", "1"}) == Strings{"succeeded"});
  CHECK(keys({"--stuck"}) == Strings{"in_doubt", "in_progress"});
  CHECK(keys({"--stuck", "--older-than", "1d"}) == Strings{"in_doubt", "in_progress"});
  CHECK(keys({"--stuck", "--state", "in_progress", "--older-than", "0s"}) == Strings{"in_progress"});
  CHECK(keys({"--older-than", "365000d"}) == Strings{});
  CHECK(admin_json(store, {"list", "--limit", "2"}).at("matching") == 6);

  const std::string table = admin(store, {"list", "--limit", "1"}).out;
  CHECK_THAT(table, support::contains("released  -      shop   released  " +
                                      paidonce::key_digest(IdempotencyKey("shop", "released")) +
                                      "  -       2         2026-05-03T12:00:00.000Z\n"));
  CHECK_THAT(table, support::ends_with("\n1 record of 6: a higher --limit shows more\n"));
}

TEST_CASE("what is stuck is listed with why, and only when it is old enough", "[admin]") {
  const TemporaryDirectory files;
  const auto store = files / "store";
  const auto now = paidonce::SystemClock{}.now();
  Record fresh = record(State::in_progress, 0);
  fresh.updated_at = now - std::chrono::minutes(4);
  fresh.lease_until = now + std::chrono::hours(1);
  Record old = fresh;
  old.updated_at = now - std::chrono::minutes(6);
  old.attempt_id = 2;
  write_store(store, {{IdempotencyKey("", "fresh"), fresh},
                      {IdempotencyKey("", "old"), old},
                      {IdempotencyKey("", "done"), record(State::succeeded, 0)},
                      {IdempotencyKey("", "lost"), record(State::in_progress, 0)},
                      {IdempotencyKey("", "doubt"), record(State::in_doubt, 1)}});
  std::string all, older;
  const json stuck = admin_json(store, {"list", "--stuck"}),
             stale = admin_json(store, {"list", "--stuck", "--older-than", "5m"});
  for (const auto& entry : stuck.at("records"))
    all += entry.at("key").get<std::string>() + ' ' + entry.at("stuck").get<std::string>() + '\n';
  for (const auto& entry : stale.at("records")) older += entry.at("key").get<std::string>() + ' ';
  CHECK(all == "lost lease_over\ndoubt in_doubt\nold holder_dead\nfresh holder_dead\n");
  CHECK(older == "lost doubt old ");
  CHECK(admin_json(store, {"show", "done"}).at("stuck").is_null());
}

TEST_CASE("a record is shown with all that it holds", "[admin]") {
  const TemporaryDirectory files;
  const auto store = files / "store";
  const IdempotencyKey key("shop", "order-1001");
  Record whole = record(State::succeeded, 4);
  whole.amount = "4.50 EUR";
  whole.description = "two cups";
  whole.checkpoint = "reserved";
  whole.response = std::string("\0receipt\n\\", 10);
  whole.response_format = "text/1";
  whole.note = "the reply was lost\nresolved as succeeded by jo: \x1b[2J";
  write_store(store, {{key, whole}});

  const json shown = admin_json(store, {"show", "order-1001"});
  CHECK(shown == json({{"scope", "shop"},
                       {"key", "order-1001"},
                       {"digest", paidonce::key_digest(key)},
                       {"state", "succeeded"},
                       {"attempts", 2},
                       {"amount", "4.50 EUR"},
                       {"description", "two cups"},
                       {"note", "the reply was lost\\x0aresolved as succeeded by jo: \\x1b[2J"},
                       {"history", {"the reply was lost", "resolved as succeeded by jo: \\x1b[2J"}},
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
                       {"response_format", "text/1"},
                       {"stuck", nullptr}}));
  const std::string table = admin(store, {"show", "order-1001", "--scope", "shop"}).out;
  CHECK_THAT(table, support::contains("\nresponse      \\x00receipt\\x0a\\\\\n"));
  CHECK_THAT(table, support::contains("\nprovider key  " + paidonce::provider_key(key, whole.created_at)));
  CHECK_THAT(
      table,
      support::contains(
          "\nhistory       the reply was lost\n              resolved as succeeded by jo: \\x1b[2J\n"));
  CHECK(admin_json(store, {"show", "--digest", paidonce::key_digest(key)}) == shown);
  CHECK(admin(store, {"show", "--digest", std::string(16, '0')}).status == 1);

  const Finished absent = admin(store, {"show", "order-1002"});
  CHECK(absent.status == 1);
  CHECK(absent.out.empty());
  CHECK(admin(store, {"show", "order-1001", "--scope", "inn"}).status == 1);
}

TEST_CASE("hostile keys are shown harmlessly, and found again by what is shown", "[admin]") {
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
  const json list = admin_json(store, {"list"});
  for (const auto& entry : list.at("records")) listed.push_back(entry.at("key"));
  CHECK(listed.size() == shown_as.size());
  for (const auto& [text, shown] : shown_as) {
    CAPTURE(shown);
    if (!shown.empty()) CHECK(std::count(listed.begin(), listed.end(), shown) == 1);
  }
  for (const std::string& key : listed)
    CHECK(json::parse(admin(store, {"show", "--json", "--", key}).out).at("key") == key);
  const std::string table = admin(store, {"list"}).out;
  CHECK(std::none_of(table.begin(), table.end(),
                     [](char byte) { return byte >= 0 && byte < 0x20 && byte != '\n'; }));
  for (const char* wrong : {"\\", "\\x", "\\x0", "\\xg0", "\\n"})
    CHECK(admin(store, {"show", wrong}).status == 2);  // not a thing that list shows
}

TEST_CASE("a key that several scopes have is shown by its scope", "[admin]") {
  const TemporaryDirectory files;
  const auto store = files / "store";
  write_store(store, {{IdempotencyKey("a", "1"), record(State::declined, 0)},
                      {IdempotencyKey("b\n", "1"), record(State::succeeded, 0)}});
  const Finished both = admin(store, {"show", "1"});
  CHECK(both.status == 2);
  CHECK_THAT(both.err, support::contains("choose with --scope"));
  CHECK(admin_json(store, {"show", "1", "--scope", "a"}).at("state") == "declined");
  CHECK(admin_json(store, {"show", "1", "--scope", "b\\x0a"}).at("state") == "succeeded");
}

TEST_CASE("nothing of a store is changed by looking, and nothing in it needs to be writable", "[admin]") {
  const TemporaryDirectory files;
  const auto store = files / "store";
  write_store(store, one_of_each());
  write_file(store / "note.txt", "not the store's");
  write_file(store / "log.tmp", "half made");
  for (const auto& file : fs::directory_iterator(store)) fs::permissions(file, fs::perms::owner_read);
  fs::permissions(store, fs::perms::owner_read | fs::perms::owner_exec);
  const auto before = state_of(store);
  REQUIRE(before.size() >= 4);
  for (const Strings& command :
       std::vector<Strings>{{"survey"},
                            {"list", "--stuck"},
                            {"show", "kept"},
                            {"show", "absent"},
                            {"verify", "--json"},
                            {"sweep", "--dry-run"},
                            {"recover", "--dry-run"},
                            {"resolve", "kept", "--as", "released", "--reason", "r", "--yes"},
                            {"recover"},
                            {"sweep", "--json"}}) {
    const int status = admin(store, command).status;
    CAPTURE(command);
    CHECK(status == (command[0] == "resolve"                               ? 5
                     : command.back() == "absent"                          ? 1
                     : command == Strings{"recover"}                       ? 2
                     : command.back() == "--json" && command[0] == "sweep" ? 2
                                                                           : 0));
  }
  CHECK(state_of(store) == before);
  const json log = admin_json(store, {"verify"}).at("log");
  CHECK(log.at("others") == json({"note.txt"}));
  CHECK(std::count(log.at("leftovers").begin(), log.at("leftovers").end(), json("log.tmp")) == 1);
  fs::permissions(store, fs::perms::owner_all);
}

TEST_CASE("looking does not even leave the time of an access", "[admin]") {
  const TemporaryDirectory files;
  const auto store = files / "store";
  write_store(store, one_of_each());
  std::vector<fs::path> paths = {store};
  for (const auto& entry : fs::directory_iterator(store)) paths.push_back(entry.path());
  const timespec long_ago[] = {{1, 0}, {0, UTIME_OMIT}};
  for (const fs::path& path : paths) REQUIRE(::utimensat(AT_FDCWD, path.c_str(), long_ago, 0) == 0);
  CHECK(admin(store, {"survey"}).status == 0);
  CHECK(admin(store, {"recover", "--dry-run"}).status == 0);
  for (const fs::path& path : paths) {
    struct ::stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    CHECK(status.st_atim.tv_sec == 1);
  }
}

TEST_CASE("a store in use is refused with status 3, and its copy is not", "[admin]") {
  const TemporaryDirectory files;
  const auto store = files / "store";
  paidonce::FileStore open(store, {.housekeeping = paidonce::Housekeeping::by_hand});
  CHECK_FALSE(open.insert(IdempotencyKey("", "a"), record(State::in_progress, 0)));
  const auto before = state_of(store);
  for (const Strings& command :
       std::vector<Strings>{{"survey"},
                            {"recover", "--dry-run"},
                            {"recover", "--yes"},
                            {"sweep", "--yes"},
                            {"resolve", "a", "--as", "released", "--reason", "r", "--yes"}}) {
    const Finished refused = admin(store, command);
    CHECK(refused.status == 3);
    CHECK(refused.out.empty());
    CHECK_THAT(refused.err,
               support::contains("is open in another process, such as your service: to look, copy the "
                                 "directory and name the copy; to change something, end that"));
    CHECK(std::count(refused.err.begin(), refused.err.end(), '\n') == 1);
  }
  CHECK(state_of(store) == before);
  fs::copy(store, files / "copy");
  const json copy = admin_json(files / "copy", {"survey"});
  CHECK(copy.at("log").at("closed") == false);
  CHECK(copy.at("records").at("unfinished") == 1);
}

TEST_CASE("damage is reported with file and offset, and nothing else is shown", "[admin]") {
  const TemporaryDirectory files;
  const auto store = files / "store";
  write_store(store, one_of_each());
  CHECK_THAT(admin(store, {"verify"}).out,
             support::starts_with("whole    every frame of the log verifies\n"));
  std::string bytes = content_of(first_segment(store));
  const std::size_t second_frame = bytes.find("\xa7\x70\x6f", 129);
  REQUIRE(second_frame != std::string::npos);
  bytes[second_frame + 30] = static_cast<char>(bytes[second_frame + 30] ^ 1);
  write_file(first_segment(store), bytes);
  const auto before = state_of(store);

  const std::string where = "log.0000000000000001, offset " + std::to_string(second_frame) + ": ";
  for (const Strings& command :
       std::vector<Strings>{{"survey"}, {"show", "kept"}, {"verify"}, {"recover", "--yes"}}) {
    const Finished damaged = admin(store, command);
    CHECK(damaged.status == 4);
    CHECK_THAT(damaged.out, support::starts_with("DAMAGED  " + where));
    CHECK(std::count(damaged.out.begin(), damaged.out.end(), '\n') == 1);
  }
  const Finished damaged = admin(store, {"verify", "--json"});
  CHECK(damaged.status == 4);
  const json damage = json::parse(damaged.out).at("damage");
  CHECK(damage.at("file") == "log.0000000000000001");
  CHECK(damage.at("offset") == second_frame);
  CHECK_THAT(damage.at("problem").get<std::string>(), support::starts_with(where));
  CHECK(state_of(store) == before);

  fs::remove(first_segment(store));
  CHECK(admin(store, {"survey"}).status == 2);  // the rest of the directory is no store
}

TEST_CASE("bad usage and what is no store end with status 2, and say why in one line", "[admin]") {
  const TemporaryDirectory files;
  const auto store = files / "store";
  write_store(store, one_of_each());
  const auto before = state_of(store);
  const auto refused = [](const fs::path& directory, const Strings& arguments, const std::string& said) {
    const Finished finished = admin(directory, arguments);
    CAPTURE(directory, arguments);
    CHECK(finished.status == 2);
    CHECK(finished.out.empty());
    CHECK(std::count(finished.err.begin(), finished.err.end(), '\n') == 1);
    CHECK_THAT(finished.err, support::starts_with("paidonce_admin: ") && support::contains(said));
  };
  refused(store, {}, "name a command: survey, list, show, verify, sweep, recover, resolve or audit");
  refused(store, {"burn"}, "burn is no command; name one: survey");
  refused(store, {"list", "--burn\n\x1b[2J"}, "--burn\\x0a\\x1b[2J");
  refused(store, {"list", "key"}, "key");
  refused(store, {"list", "--scope", "a"}, "--scope");
  refused(store, {"list", "--state", "lost"}, "lost");
  refused(store, {"list", "--limit", "-1"}, "--limit takes a whole number from 0\n");
  for (const char* number : {"x", "", "1x", "+1", "0x10", "18446744073709551616"})
    refused(store, {"list", "--limit", number}, "--limit takes a whole number from 0\n");
  refused(store, {"resolve", "a", "--as", "released", "--reason", "r", "--if-version", "-1"},
          "--if-version takes a whole number from 0\n");
  refused(store, {"recover", "--timeout-ms", "0"}, "--timeout-ms takes a whole number from 1 to 600000\n");
  for (const char* length :
       {"-5m", "5", "m", "", "5 m", "1w", "+5m", "1.5h", "99999999999999999999s", "9223372036854775807d"})
    refused(store, {"list", "--older-than", length}, "write it as in 90s, 5m, 2h or 1d");
  refused(store, {"show"}, "name the payment by its KEY, or by its --digest");
  refused(store, {"show", "kept", "--digest", "0123456789abcdef"}, "name the payment by its KEY, or by its");
  refused(store, {"show", "--digest", "0123"}, "16 hex digits");
  refused(store, {"recover", "--gateway", "nowhere", "--yes"}, "--gateway: ");
  refused("", {"survey"}, "--store DIR: name the directory of a store");
  CHECK(state_of(store) == before);

  fs::create_directory(files / "empty");
  write_file(files / "file", "text");
  fs::create_directory(files / "foreign");
  write_file(files / "foreign" / "letter.txt", "text");
  const Strings resolve = {"resolve", "a", "--as", "released", "--reason", "r", "--yes"};
  for (const Strings& command :
       {Strings{"survey"}, Strings{"sweep", "--yes"}, Strings{"recover", "--yes"}, resolve}) {
    refused(files / "empty", command, "there is no store in");
    refused(files / "foreign", command, "there is no store in");
    refused(files / "absent", command, "No such file or directory");
    refused(files / "file", command, "Not a directory");
  }
  CHECK(fs::is_empty(files / "empty"));
  CHECK_FALSE(fs::exists(files / "absent"));
  CHECK(state_of(files / "foreign").size() == 2);

  CHECK(run({PAIDONCE_ADMIN}).status == 2);
  CHECK_THAT(run({PAIDONCE_ADMIN, "burn"}).err, support::contains("burn is no command"));
  CHECK_THAT(run({PAIDONCE_ADMIN, "survey"}).err, support::contains("--store DIR: name the directory"));
  CHECK(run({PAIDONCE_ADMIN, "--help"}).status == 0);
  CHECK_THAT(run({PAIDONCE_ADMIN, "resolve", "--help"}).out, support::contains("--charge-id"));
}

TEST_CASE("what the system refuses ends with status 8", "[admin]") {
  const TemporaryDirectory files;
  const auto store = files / "store";
  write_store(store, one_of_each());
  const auto large = files / "large";
  Records many;
  for (int number = 0; number < 400; ++number)
    many.emplace_back(IdempotencyKey("", "number " + std::to_string(number)),
                      record(State::succeeded, number));
  write_store(large, many);
  for (const fs::path& of : {store, large}) {  // written at the end, or before
    const Finished finished = run(
        {"/bin/sh", "-c", "exec \"$@\" > /dev/full", "sh", PAIDONCE_ADMIN, "--store", of.string(), "list"});
    CHECK(finished.status == 8);
    CHECK(finished.err == "paidonce_admin: cannot write standard output: No space left on device\n");
  }
  fs::create_symlink("loop", files / "loop");
  CHECK(admin(files / "loop", {"survey"}).status == 8);
}
