#pragma once
// What the processes of a run do: producers put orders into the queue, workers pay what it asks for.

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <paidonce/clocks/steady_timer.hpp>
#include <paidonce/guard.hpp>
#include <paidonce/provider_key.hpp>
#include <paidonce/queue/payment_worker.hpp>

#include "broker.hpp"
#include "common/provider.hpp"
#include "deaths.hpp"
#include "journal.hpp"
#include "plan.hpp"

namespace queue_worker {

using namespace paidonce;

/// Until the broker has confirmed it. Where that is not known it is sent again: the payment's key is in it.
inline void put(Queue& queue, Journal& journal, const std::string& key, const std::string& body) {
  SteadyTimer timer;
  Stop never;
  for (int tries = 1;; ++tries) try {
      return journal.write(Word::sent, queue.put(key, body));
    } catch (const Error& error) {
      if (!retryable(error) || tries == 100) throw;
      pause(timer, Duration(100), never);
    }
}

/// Every so many orders are put, and some of them that another producer puts, too.
inline void produce(Queue& queue, Journal& journal, const std::string& run, const std::vector<Order>& orders,
                    unsigned number, unsigned producers) {
  for (unsigned i = 0; i < orders.size(); ++i) {
    if (i % producers == number) put(queue, journal, customer_of(run, i), body_of(orders[i]));
    if (i % 5 == 2 && (i + 1) % producers == number)
      put(queue, journal, customer_of(run, i), body_of(orders[i]));
  }
  journal.write(Word::all_sent);
}

/// How the message that this thread works on got its answer.
inline thread_local Word answered = Word::replayed;

/// Writes down what is settled. Here a worker may die before it could acknowledge what is paid.
class Watched {
 public:
  Watched(Queue& queue, Journal& journal, Deaths& deaths)
      : queue_(queue), journal_(journal), deaths_(deaths) {}

  std::optional<Message> receive(Duration pause, Stop& stop) {
    std::optional<Message> message = queue_.receive(pause, stop);
    if (message) journal_.write(Word::received, message->id);
    answered = Word::replayed;
    return message;
  }
  void ack(const Message& message) {
    if (answered != Word::replayed) deaths_.die_at(Moment::recorded);
    const auto alive = deaths_.alive();
    queue_.ack(message);
    journal_.write(answered, message.id);
  }
  void retry_later(const Message& message, Duration pause) { queue_.retry_later(message, pause); }
  void dead_letter(const Message& message, std::string_view reason) {
    const auto alive = deaths_.alive();
    queue_.dead_letter(message, reason);
    journal_.write(Word::dead, message.id);
  }

 private:
  Queue& queue_;
  Journal& journal_;
  Deaths& deaths_;
};

/// Requests a stop when all is settled, or after two minutes, in which that should have been.
class Watch {
 public:
  Watch(const Journal& journal, unsigned producers, Stop& stop)
      : thread_([this, &journal, producers, &stop] {
          for (int looks = 0; looks < 2400 && !is_done(journal.read(), producers); ++looks)
            if (!pause(timer_, Duration(50), ended_)) break;
          stop.request();
        }) {}
  ~Watch() {
    ended_.request();
    thread_.join();
  }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

 private:
  SteadyTimer timer_;
  Stop ended_;
  std::thread thread_;
};

template <class S>
void work(S& store, Queue& queue, Journal& journal, const Files& files, unsigned producers) {
  using Text = PaymentResult<std::string>;
  const common::Provider provider(files.ledger());
  Deaths deaths(files.deaths(), journal);
  Watched source(queue, journal, deaths);
  const auto told = [](const common::Entry& entry) -> Text {
    if (entry.kind == common::Entry::Kind::barred)
      return not_executed("the provider will not carry this attempt out");
    return succeeded(std::string("charged"));
  };
  // How long after a worker died others may take over what it was paying. Short, because here they die often.
  IdempotencyGuard guard{store, GuardOptions{.lease = std::chrono::seconds(1)}};
  PaymentWorkerOptions options;
  options.threads = 3;
  options.backoff = {Duration(50), Duration(1'000), Jitter::equal};
  PaymentWorker worker(
      guard, source, read_order,
      [&](Attempt& attempt, const Order& order) -> Text {
        if (attempt.lease_lost()) return not_executed("the lease ran out before anything was sent");
        answered = Word::paid;
        const common::Entry entry =
            provider.carry_out({common::Entry::Kind::charged, std::string(attempt.provider_key()),
                                attempt.number(), order.number, order.cents});
        deaths.die_at(Moment::charged);
        return told(entry);
      },
      // Somebody died in the middle of it: the provider knows how it went.
      [&](const Record& record, const PaymentRequest<Order>& request) -> Text {
        answered = Word::asked;
        return told(provider.look_up(provider_key(request.key, record.created_at), record.attempts));
      },
      options);
  Stop stop;
  const Watch watch(journal, producers, stop);
  worker.run(stop);
}

}  // namespace queue_worker
