// paidonce_admin: what it changes in a store, when it asks before, and when it refuses.

#include <algorithm>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <paidonce/key_digest.hpp>
#include <paidonce/paidonce.hpp>

#include "charge.hpp"
#include "support/admin.hpp"
#include "support/catch.hpp"
#include "support/gateways.hpp"
#include "support/pay_orders.hpp"
#include "support/slow_provider.hpp"

using namespace integration;
using nlohmann::json;
using paidonce::IdempotencyKey;
using paidonce::Record;
using paidonce::State;
using Strings = std::vector<std::string>;
namespace fs = std::filesystem;

namespace {

/// An order of pay_orders that is in doubt, or whatever else it is said to be.
Record order(State state, const std::string& amount = "4.50 EUR") {
  Record order = record(state, 0);
  order.version = 3;
  order.amount = amount;
  if (state == State::in_doubt) order.note = "the reply was lost";
  if (state == State::succeeded) order.response_format = "shop.charge/1";
  return order;
}

IdempotencyKey key_of(const std::string& order) { return IdempotencyKey("pay_orders", order); }

Strings resolve(const std::string& key, const std::string& as, const Strings& more = {}) {
  Strings arguments = {"resolve", key, "--as", as, "--reason", "seen in the dashboard", "--actor", "jo"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

/// Nothing was changed, and why is said in one line.
void refused(const fs::path& store, const Strings& arguments, int status, const std::string& said) {
  const auto before = state_of(store);
  const Finished finished = admin(store, arguments);
  CAPTURE(arguments);
  CHECK(finished.status == status);
  CHECK(finished.out.empty());
  CHECK(std::count(finished.err.begin(), finished.err.end(), '\n') == 1);
  CHECK_THAT(finished.err, support::contains(said));
  CHECK(state_of(store) == before);
}

}  // namespace

TEST_CASE("a person at a terminal sees the record, and settles it by typing yes", "[admin]") {
  const TemporaryDirectory files;
  const auto store = files / "store";
  write_store(store, {{key_of("a"), order(State::in_doubt)}});
  const Strings command = resolve("a", "succeeded", {"--charge-id", "ch_1", "--json"});
  for (const char* no : {"no\n", "y\n", "YES\n", "\x04"}) {
    const auto before = state_of(store);
    AtTerminal terminal(store, command);
    const std::string shown = terminal.question();
    CHECK_THAT(shown, support::contains("\nkey           a\n"));
    CHECK_THAT(shown, support::contains("the reply was lost"));
    CHECK_THAT(shown, support::contains("Succeeded means that the money has moved"));
    CHECK_THAT(shown, support::contains("\"id\":\"ch_1\""));
    CHECK_THAT(shown, support::contains("jo says: succeeded, because: seen in the dashboard\n"));
    const Finished declined = terminal.answer(no);
    CHECK(declined.status == 6);
    CHECK(declined.out.empty());
    CHECK_THAT(declined.err, support::contains("not done; nothing was changed"));
    CHECK(state_of(store) == before);
  }
  AtTerminal terminal(store, command);
  terminal.question();
  const Finished done = terminal.answer("yes\n");
  CHECK(done.status == 0);
  const json resolved = json::parse(done.out);
  CHECK(resolved.at("was") == "in_doubt");
  CHECK(resolved.at("record").at("state") == "succeeded");

  const json shown = admin_json(store, {"show", "a"});
  CHECK(shown.at("history") ==
        json({"the reply was lost", "resolved as succeeded by jo: seen in the dashboard"}));
  refused(store, resolve("a", "released", {"--yes"}), 5, "the payment is succeeded already");
  paidonce::FileStore open(store);
  const Record after = open.find(key_of("a")).value();
  CHECK(paidonce::Codec<shop::Charge>::decode(after.response) == shop::Charge{"ch_1", "a", 450, "EUR", ""});
  CHECK(after.response_format == "shop.charge/1");
  CHECK(after.expires_at - after.updated_at == std::chrono::hours(24) * 3652);  // none beside it to go by
}

TEST_CASE("a payment is found by the digest that an alert carries, declined, and kept as long as others",
          "[admin]") {
  const TemporaryDirectory files;
  const auto store = files / "store";
  Record longest = order(State::succeeded);
  longest.expires_at = longest.updated_at + std::chrono::hours(2000);
  write_store(store, {{key_of("a"), order(State::in_doubt)}, {key_of("b"), longest}});
  const std::string digest = paidonce::key_digest(key_of("a"));
  const json resolved =
      admin_json(store, {"resolve", "--digest", digest, "--as", "declined", "--failure", "card_declined",
                         "--reason", "they say so", "--actor", "jo", "--yes"});
  CHECK(resolved.at("record").at("digest") == digest);
  paidonce::FileStore open(store);
  const Record after = open.find(key_of("a")).value();
  CHECK(after.state == State::declined);
  CHECK(paidonce::Codec<shop::Charge>::decode(after.response) ==
        shop::Charge{"", "a", 450, "EUR", "card_declined"});
  CHECK(after.expires_at - after.updated_at == std::chrono::hours(2000));
}

TEST_CASE("a payment in progress is released only by declaring its holder dead", "[admin]") {
  const TemporaryDirectory files;
  const auto store = files / "store";
  write_store(store, {{key_of("a"), order(State::in_progress)}, {key_of("b"), order(State::in_doubt)}});
  refused(store, resolve("a", "released", {"--yes"}), 5, "--holder-is-dead says so");
  refused(store, resolve("a", "released"), 2, "standard input is no terminal");
  {
    AtTerminal terminal(store, resolve("a", "released"));
    const std::string shown = terminal.question();
    CHECK_THAT(shown,
               support::contains("!!! THIS PAYMENT IS IN PROGRESS. Going on DECLARES ITS HOLDER DEAD"));
    CHECK_THAT(shown, support::contains("The next call with this key CHARGES."));
    CHECK(terminal.answer("no\n").status == 6);
  }
  {
    AtTerminal terminal(store, resolve("b", "released"));
    CHECK_THAT(terminal.question(), !support::contains("IN PROGRESS"));
    CHECK(terminal.answer("no\n").status == 6);
  }
  const json resolved = admin_json(store, resolve("a", "released", {"--yes", "--holder-is-dead"}));
  CHECK(resolved.at("was") == "in_progress");
  CHECK(resolved.at("record").at("history").at(1) == "released by jo: seen in the dashboard");
  CHECK_THAT(resolved.at("record").at("history").at(0).get<std::string>(),
             support::starts_with("abandoned: "));
  CHECK(admin_json(store, {"show", "a"}).at("state") == "released");
}

TEST_CASE("what changed after it was shown is not resolved", "[admin]") {
  const TemporaryDirectory files;
  const auto store = files / "store";
  write_store(store, {{key_of("a"), order(State::in_doubt)}});
  refused(store, resolve("a", "released", {"--yes", "--if-version", "2"}), 5, "it has version 3 and not 2");

  const auto meanwhile = [&](const std::function<void(paidonce::FileStore&)>& happens, bool closes) {
    AtTerminal terminal(store, resolve("a", "released"));
    terminal.question();
    paidonce::FileStore service(store);
    happens(service);
    if (closes) paidonce::FileStore(std::move(service));
    return terminal.answer("yes\n");
  };
  const Finished busy = meanwhile([](paidonce::FileStore&) {}, false);
  CHECK(busy.status == 3);
  CHECK_THAT(busy.err,
             support::contains("was opened by another process, such as your service, in the meantime"));
  const Finished changed = meanwhile(
      [](paidonce::FileStore& service) {
        Record next = order(State::in_progress);
        next.version = 4;
        CHECK(service.replace(key_of("a"), 3, next));
      },
      true);
  CHECK(changed.status == 5);
  CHECK_THAT(changed.err, support::contains("the record has changed since it was shown"));
  CHECK(admin_json(store, {"show", "a"}).at("state") == "in_progress");
  CHECK(admin(store, resolve("a", "released", {"--yes", "--if-version", "4", "--holder-is-dead"})).status ==
        0);
}

TEST_CASE("a response that the paying program could not use is refused", "[admin]") {
  const TemporaryDirectory files;
  const auto store = files / "store";
  write_store(store, {{key_of("a"), order(State::in_doubt)},
                      {key_of("odd"), order(State::in_doubt, "a lot")},
                      {key_of("b"), order(State::succeeded)},
                      {IdempotencyKey("inn", "a"), order(State::in_doubt)},
                      {IdempotencyKey("inn", "c"), record(State::in_doubt, 0)}});
  const auto wrong = [&](const std::string& key, const std::string& as, Strings more,
                         const std::string& said) {
    more.push_back("--yes");
    refused(store, resolve(key, as, more), 2, said);
  };
  const auto charge = [](const char* order, int amount, const char* failure) {
    return paidonce::Codec<shop::Charge>::encode({"ch_1", order, amount, "EUR", failure});
  };
  const std::string format = "shop.charge/1";
  const Strings scoped = {"--scope", "pay_orders"};
  const auto with = [&](Strings more) {
    more.insert(more.end(), scoped.begin(), scoped.end());
    return more;
  };
  wrong("a", "released", {}, "2 scopes have a record under this key");
  wrong("a", "succeeded", with({}), "give either --charge-id (for pay_orders), or --format and one of");
  wrong("a", "succeeded", with({"--charge-id", ""}), "a payment that succeeded has a charge");
  wrong("a", "succeeded", with({"--charge-id", "ch_1", "--failure", "no"}),
        "--failure goes with --as declined");
  wrong("a", "succeeded", with({"--charge-id", "c", "--response", "r", "--format", format}), "give either");
  wrong("a", "succeeded", with({"--response", "r"}), "go with --format");
  wrong("a", "released", with({"--charge-id", "ch_1"}), "--as released takes no response");
  wrong("a", "succeeded", with({"--response", "r", "--format", format}), "not in the format that it is said");
  wrong("a", "succeeded", with({"--response", charge("b", 450, ""), "--format", format}), "of another order");
  wrong("a", "succeeded", with({"--response", charge("a", 45, ""), "--format", format}), "of another amount");
  wrong("a", "declined", with({"--response", charge("a", 450, ""), "--format", format}),
        "the opposite of --as");
  wrong("a", "succeeded", with({"--response", charge("a", 450, "x"), "--format", format}),
        "the opposite of --as");
  wrong("a", "succeeded", with({"--response", "r", "--format", "text"}),
        "there are: shop.charge/1. --any-format");
  wrong("a", "succeeded", with({"--response-file", (files / "none").string(), "--format", "text"}),
        "No such file");
  wrong("a", "succeeded", with({"--charge-id", "c", "--retention", "-1d"}), "write it as in 90s");
  wrong("a", "succeeded", with({"--charge-id", "c", "--retention", "1s"}), "a minute at least");
  wrong("odd", "succeeded", {"--charge-id", "ch_1"}, "this record has no amount");
  for (const char* reason : {"", " ", "a\nreleased by the boss: b", "\x1b[2J"})
    refused(store, {"resolve", "odd", "--as", "released", "--reason", reason, "--yes"}, 2, "--reason");
  refused(store, {"resolve", "odd", "--as", "in_doubt", "--reason", "r", "--yes"}, 2, "--as");
  refused(store, {"resolve", "odd", "--as", "released", "--yes"}, 2, "--reason");
  refused(store, resolve("none", "released", {"--yes"}), 1, "there is no record under this key");

  // What another program reads is its own affair, where nothing beside it says otherwise.
  const auto file = write_file(files / "response", std::string("\0bytes", 6));
  const json taken = admin_json(
      store, resolve("c", "declined", {"--response-file", file.string(), "--format", "inn/2", "--yes"}));
  CHECK(taken.at("record").at("response") == "\\x00bytes");
  CHECK(taken.at("record").at("response_format") == "inn/2");
  const json any = admin_json(
      store, resolve("odd", "succeeded", {"--response", "r", "--format", "text", "--any-format", "--yes"}));
  CHECK(any.at("record").at("response_format") == "text");
}

TEST_CASE("a sweep counts, asks, and erases what has expired and nothing else", "[admin]") {
  const TemporaryDirectory files;
  const auto store = files / "store";
  write_store(store, one_of_each());
  CHECK(admin_json(store, {"sweep", "--dry-run"}).at("expired") == 3);
  {
    AtTerminal terminal(store, {"sweep"});
    CHECK_THAT(terminal.question(), support::contains("This erases 3 of 6 records."));
    CHECK(terminal.answer("no\n").status == 6);
  }
  const json swept = admin_json(store, {"sweep", "--yes"});
  CHECK(swept.at("dry_run") == false);
  CHECK(swept.at("erased") == 3);
  Strings left;
  const json list = admin_json(store, {"list"});
  for (const auto& entry : list.at("records")) left.push_back(entry.at("key"));
  CHECK(left == Strings{"in_doubt", "in_progress", "kept"});
  const auto before = state_of(store);
  const json nothing = admin_json(store, {"sweep", "--yes"});
  CHECK((nothing.at("erased") == 0 && nothing.at("dry_run") == false));
  CHECK_THAT(admin(store, {"sweep", "--yes"}).out, support::contains("nothing was changed"));
  CHECK(state_of(store) == before);
}

TEST_CASE("what a killed pay_orders left is marked, settled by asking, and then replayed", "[admin]") {
  const TemporaryDirectory files;
  const auto store = files / "store";
  SlowProvider provider;
  const auto input =
      write_file(files / "orders.csv", "order_id,amount,currency,source\na,4.50,EUR,tok_visa\n");
  const Strings options = {"--store", store.string(), "--threads", "1"};
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
  CHECK_THAT(admin(store, {"survey"}).out,
             support::contains("closed   no: the process that had it open was killed"));
  const json shown = admin_json(store, {"show", "a"});
  CHECK(shown.at("state") == "in_progress");
  CHECK(shown.at("amount") == "4.50 EUR");
  CHECK(shown.at("provider_key") == provider.keys().at(0));

  const json dry = admin_json(store, {"recover", "--dry-run"});
  CHECK(dry.at("dry_run") == true);
  CHECK(dry.at("records").at(0).at("state") == "in_progress");
  {
    AtTerminal terminal(store, {"recover", "--gateway", provider.url()});
    CHECK_THAT(terminal.question(), support::contains("1 payment in progress, whose process is dead") &&
                                        support::contains("asks " + provider.url()));
    CHECK(terminal.answer("no\n").status == 6);
  }
  const json marked = admin_json(store, {"recover", "--yes"}, 7);
  CHECK(marked.at("asked_provider") == false);
  CHECK(marked.at("before") == json({{"in_progress", 1}, {"in_doubt", 0}}));
  CHECK(marked.at("in_doubt") == 1);
  CHECK(marked.at("reason").is_null());
  CHECK(marked.at("records").at(0).at("history") ==
        json({"abandoned: the process that ran this attempt is dead"}));
  const json unknown = admin_json(store, {"recover", "--yes", "--gateway", provider.url()}, 7);
  CHECK(unknown.at("in_doubt") == 1);  // what the provider does not know proves nothing
  CHECK(unknown.at("records").at(0).at("history") == marked.at("records").at(0).at("history"));

  provider.list("a", 450);
  const json settled = admin_json(store, {"recover", "--yes", "--gateway", provider.url()});
  CHECK(settled.at("asked_provider") == true);
  CHECK(settled.at("succeeded") == 1);
  CHECK(settled.at("matching") == 0);
  const json nothing = admin_json(store, {"recover", "--yes", "--gateway", provider.url()});
  CHECK((nothing.at("dry_run") == false && nothing.at("asked_provider") == false));
  CHECK_THAT(admin(store, {"recover", "--yes"}).out, support::contains("there was nothing to do"));

  const Paid again = pay_orders(input, provider.url(), options);
  CHECK(again.line(2).at("status") == "paid");
  CHECK(again.line(2).at("charge") == "ch_slow");
  CHECK(provider.keys().size() == 1);
}

TEST_CASE("a recovery leaves in doubt what nobody answers for, and what it does not know to ask about",
          "[admin]") {
  const TemporaryDirectory files;
  const auto store = files / "store";
  write_store(store, {{key_of("a"), order(State::in_doubt)}});
  const ClosedPort nobody;
  const json silent = admin_json(store, {"recover", "--yes", "--gateway", nobody.url()}, 7);
  CHECK(silent.at("unanswered") == 1);
  CHECK(silent.at("reason").get<std::string>().find(
            "did not answer what it knows of the order (Connection)") != std::string::npos);
  CHECK(silent.at("matching") == 1);

  SlowProvider provider;
  provider.list("a", 450);
  provider.list("inn-1", 450);
  provider.list("odd", 450);
  {
    paidonce::FileStore open(store);
    CHECK_FALSE(open.insert(IdempotencyKey("inn", "inn-1"), order(State::in_progress)));
    CHECK_FALSE(open.insert(key_of("odd"), order(State::in_doubt, "a lot")));
  }
  const json asked = admin_json(store, {"recover", "--yes", "--gateway", provider.url()}, 7);
  CHECK(asked.at("succeeded") == 1);
  CHECK(asked.at("in_doubt") == 2);
  CHECK(asked.at("matching") == 2);
  CHECK_THAT(admin(store, {"recover", "--dry-run"}).out,
             support::contains("\nin_doubt  in_doubt  inn         inn-1"));
}

TEST_CASE("a store of another user is not changed, by root neither", "[admin]") {
  const TemporaryDirectory files;
  const auto store = files / "store";
  write_store(store, {{key_of("a"), order(State::in_doubt)}});
  if (::geteuid() != 0 || ::chown(store.c_str(), 65534, 65534) != 0) return;  // needs somebody who may
  refused(store, resolve("a", "released", {"--yes"}), 2, "the store belongs to user 65534");
  CHECK(admin(store, {"list"}).status == 0);
}
