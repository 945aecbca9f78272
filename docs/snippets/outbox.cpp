// The snippets about messages that leave with a payment.

#include <paidonce/orders/outbox_store.hpp>
#include <paidonce/orders/receive.hpp>
#include <paidonce/orders/relay.hpp>
#include <paidonce/orders/sqlite_outbox.hpp>
#include <paidonce/paidonce.hpp>
#include <paidonce/recovery/worker.hpp>

#include <cstdio>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "elsewhere.hpp"
#include "fault/event.hpp"
#include "support/catch.hpp"

namespace outbox_page {

using namespace paidonce;
using namespace std::chrono_literals;

template <class Guard>
Outcome<std::string> transfer(Guard& guard, SqliteOutbox<>& outbox) {
  // [put]
  return guard.execute_in_transaction(
      IdempotencyKey{"bank", "transfer-1"}, fingerprint("transfer-1", "70", "EUR"),
      [&](Attempt&, SqliteStore::Transaction& transaction) {
        // ... the rows of the transfer ...
        outbox.put(transaction, "ada", "transferred", "70 EUR to ben");  // key, topic, payload
        return std::string("booked");
      });
  // [/put]
}

// [announce]
std::optional<Announcement> receipt(const IdempotencyKey& key, const Record& record) {
  if (record.state != State::succeeded) return std::nullopt;  // declines come here too
  return Announcement{.key = record.description.empty() ? std::string(key.text()) : record.description,
                      .topic = "receipt",
                      .payload = std::string(key.text())};
}
// [/announce]

template <class Charge>
Outcome<std::string> charge_and_announce(SqliteStore& store, SqliteOutbox<>& outbox, Charge charge_card) {
  // [announcing]
  OutboxStore announcing{store, outbox, receipt};
  IdempotencyGuard guard{announcing};
  return guard.execute(IdempotencyKey{"shop", "order-1001"}, fingerprint("order-1001", "4.50", "EUR"),
                       charge_card, {.description = "customer-7"});
  // [/announcing]
}

// [relay]
void relay_messages(SqliteOutbox<>& outbox, const std::function<void(const OutboxMessage&)>& post,
                    AlertSink pager, const std::function<void()>& serve) {
  RelayOptions options;
  options.alert = pager;
  Relay relay{outbox, post, options};  // post returns when the receiver has it, and throws otherwise

  BackgroundWorker<> background{{.alert = pager}};
  background.add(
      {.name = "outbox", .when = {.every = 500ms}, .work = [&](Stop& stop) { relay.drain(stop); }});
  background.start();
  serve();
}
// [/relay]

// [receive]
template <class Guard>
void print_receipt(Guard& guard, const OutboxMessage& message,
                   const std::function<void(SqliteStore::Transaction&, const OutboxMessage&)>& insert_row) {
  const auto outcome =
      receive_in_transaction(guard, "shop", message, [&](Attempt&, SqliteStore::Transaction& transaction) {
        insert_row(transaction, message);
        return std::string("printed");
      });
  require_received(outcome);  // throws, so that it is sent again, unless it was handled now or before
}
// [/receive]

// [stuck]
void show_stuck(SqliteOutbox<>& outbox) {
  const OutboxBacklog backlog = outbox.backlog();
  std::printf("%zu messages wait, the oldest for %lld s\n", backlog.messages,
              static_cast<long long>(backlog.oldest.count() / 1000));
  for (const StuckMessage& message : outbox.stuck(5, 100))
    std::printf("message %lld failed %u times: %s\n", static_cast<long long>(message.id), message.failures,
                message.failure.c_str());
}

bool skip(SqliteOutbox<>& outbox, std::int64_t message) {
  return outbox.set_aside(message, "ann", "the address does not exist; told the customer by phone");
}
// [/stuck]

}  // namespace outbox_page

TEST_CASE("a message leaves with its payment, and is received once", "[docs]") {
  using namespace outbox_page;
  const integration::ElsewhereForNow elsewhere;
  SqliteStore store{"shop.db"};
  SqliteOutbox outbox{store};
  IdempotencyGuard guard{store};
  CHECK(transfer(guard, outbox).succeeded());
  CHECK(transfer(guard, outbox).replayed());
  CHECK(charge_and_announce(store, outbox, [] { return std::string("charged"); }).succeeded());

  SqliteStore letters{"letters.db"};
  IdempotencyGuard receiver{letters};
  std::vector<std::string> printed;
  fault::Event arrived;
  const auto post = [&](const OutboxMessage& message) {
    for (int twice = 0; twice < 2; ++twice)
      print_receipt(receiver, message, [&](SqliteStore::Transaction&, const OutboxMessage& what) {
        printed.push_back(what.key + ": " + what.payload);
      });
    arrived.happen();
  };
  relay_messages(outbox, post, {}, [&] { CHECK(arrived.await(2)); });
  CHECK(printed == std::vector<std::string>{"ada: 70 EUR to ben", "customer-7: order-1001"});

  std::int64_t id = 0;
  store.transact([&](SqliteStore::Transaction& transaction) {
    id = outbox.put(transaction, "ada", "transferred", "1 EUR");
  });
  show_stuck(outbox);
  CHECK(skip(outbox, id));
  CHECK(outbox.backlog().messages == 0);
}
