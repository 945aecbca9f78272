// Consumers that die, brokers that die, and connections that break, between a message and its settling.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <paidonce/guard.hpp>
#include <paidonce/queue/payment_worker.hpp>
#include <paidonce/queue/rabbitmq.hpp>
#include <paidonce/queue/redis_stream.hpp>
#include <paidonce/stores/redis.hpp>

#include "support/catch.hpp"
#include "support/rabbitmq_queue.hpp"
#include "support/rabbitmq_server.hpp"
#include "support/redis_server.hpp"
#include "support/redis_stream.hpp"
#include "support/scratch_directory.hpp"
#include "support/tcp_proxy.hpp"

using namespace paidonce;
using namespace std::chrono_literals;

namespace {

constexpr Duration patience{30'000}, a_while{200};

/// A process that does something and then waits to be killed. What it says is read line by line.
class Child {
 public:
  using Say = std::function<void(const std::string&)>;

  explicit Child(const std::function<void(const Say&)>& body) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    pid_ = ::fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      try {
        body([&](const std::string& text) {
          const std::string line = text + "\n";
          if (::write(ends[1], line.data(), line.size()) < 0) ::_exit(2);
        });
      } catch (...) {
        ::_exit(1);
      }
      for (;;) ::pause();
    }
    ::close(ends[1]);
    said_ = ends[0];
  }
  ~Child() {
    kill();
    ::close(said_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  std::string line() {
    std::string text;
    for (char letter; text.size() < 1000;) {
      pollfd there{said_, POLLIN, 0};
      if (::poll(&there, 1, static_cast<int>(patience.count())) != 1 || ::read(said_, &letter, 1) != 1)
        return text + " (no more)";
      if (letter == '\n') break;
      text += letter;
    }
    return text;
  }
  void signal(int number) { ::kill(pid_, number); }
  void kill() {
    if (pid_ <= 0) return;
    signal(SIGKILL);
    await_end();
  }
  void await_end() {
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  pid_t pid_ = -1;
  int said_ = -1;
};

struct Redis {
  using Queue = RedisStream;
  std::string uri;
  RedisStreamOptions options = {};

  explicit Redis(const std::string& at, std::size_t partitions = 2) : uri(at) {
    options.stream = RedisServer::fresh_prefix("queue");
    options.partitions = partitions;
    options.lease = Duration(600);
    options.poll_interval = Duration(10);
    options.connection.connect_timeout = Duration(500);
    options.connection.reconnect = {Duration(5), Duration(50), Jitter::equal};
  }
  std::unique_ptr<Queue> open() const { return std::make_unique<Queue>(uri, options); }
  std::vector<DeadLetter> dead_letters() const { return support::dead_letters(uri, options); }
};

struct Rabbit {
  using Queue = RabbitQueue;
  std::string uri;
  RabbitQueueOptions options = {};

  explicit Rabbit(const std::string& at, std::size_t partitions = 2) : uri(at) {
    options.queue = RabbitServer::fresh_name("queue");
    options.partitions = partitions;
    options.connection.reconnect = {Duration(5), Duration(200), Jitter::equal};
  }
  std::unique_ptr<Queue> open() const { return std::make_unique<Queue>(uri, options); }
  std::vector<DeadLetter> dead_letters() const { return support::dead_letters(uri, options); }
};

/// The next message, whatever is in the way meanwhile.
template <class Queue>
std::optional<Message> next(Queue& queue, Duration pause = patience) {
  Stop stop;
  const auto end = std::chrono::steady_clock::now() + pause;
  for (;;) {
    const auto left = std::chrono::ceil<Duration>(end - std::chrono::steady_clock::now());
    try {
      return queue.receive(std::max(left, Duration(0)), stop);
    } catch (const Error& error) {
      if (error.code() != errc::store_unavailable || left.count() <= 0) throw;
    }
  }
}

template <class Queue>
std::string next_body(Queue& queue, Duration pause = patience) {
  const std::optional<Message> message = next(queue, pause);
  if (!message) return "none";
  queue.ack(*message);
  return message->body;
}

template <class Broker>
void a_killed_consumer_is_replaced(const Broker& broker) {
  const auto producer = broker.open();
  for (const char* body : {"1", "2", "3"}) producer->put("k", body);
  Child child([&](const Child::Say& say) {
    const auto consumer = broker.open();
    const std::optional<Message> first = next(*consumer);
    say(first ? first->body : "none");
    for (;;) ::pause();  // with its threads at work
  });
  REQUIRE(child.line() == "1");
  const auto other = broker.open();
  CHECK(next_body(*other, a_while) == "none");  // while that one lives
  child.kill();
  const std::optional<Message> again = next(*other);
  REQUIRE(again);
  CHECK(again->body == "1");
  CHECK(again->deliveries == 2);
  CHECK(next_body(*other, a_while) == "none");
  other->ack(*again);
  CHECK(next_body(*other) == "2");
  CHECK(next_body(*other) == "3");
  CHECK(next_body(*other, a_while) == "none");
}

/// Lines that processes add to a file, each in one piece.
class Lines {
 public:
  explicit Lines(std::string path) : path_(std::move(path)) {}
  void add(const std::string& text) const {
    const std::string line = text + "\n";
    const int file = ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (file < 0 || ::write(file, line.data(), line.size()) != static_cast<ssize_t>(line.size())) ::_exit(3);
    ::close(file);
  }
  /// How often each is there.
  std::map<std::string, int> count() const {
    std::map<std::string, int> counts;
    std::ifstream file(path_);
    for (std::string line; std::getline(file, line);) ++counts[line];
    return counts;
  }

 private:
  const std::string path_;
};

constexpr int orders = 16, deadly = 4;

/// Pays what the queue asks for until all orders are acknowledged. The process dies right after each fourth
/// order's charge, once.
template <class Broker>
void pay_all(const Broker& broker, const std::string& store_uri, const std::string& prefix,
             const std::filesystem::path& books) {
  const Lines ledger(books / "charges"), acked(books / "acked");
  RedisStore store(store_uri, {.prefix = prefix});
  GuardOptions rules;
  rules.lease = Duration(400);
  IdempotencyGuard<RedisStore&> guard(store, rules);
  struct Source {
    std::unique_ptr<typename Broker::Queue> queue;
    const Lines& acked;
    std::optional<Message> receive(Duration pause, Stop& stop) {
      if (acked.count().size() == orders) stop.request();
      return queue->receive(pause, stop);
    }
    void ack(const Message& message) {
      acked.add(message.body);  // first: who dies in between is given it again, and does not wait for it
      queue->ack(message);
    }
    void retry_later(const Message& message, Duration pause) { queue->retry_later(message, pause); }
    void dead_letter(const Message& message, std::string_view why) { queue->dead_letter(message, why); }
  } source{broker.open(), acked};
  const auto read = [](const Message& message) {
    return PaymentRequest<std::string>{
        IdempotencyKey("shop", message.body), fingerprint(message.body), message.body, {}};
  };
  std::mutex dying;  // one charge at a time, so that each death costs a life
  const auto charge = [&](Attempt&, const std::string& order) {
    const std::lock_guard lock(dying);
    ledger.add(order);
    if (std::stoi(order) % deadly == 0) {
      const int first = ::open((books / ("died-" + order)).c_str(), O_CREAT | O_EXCL | O_CLOEXEC, 0644);
      if (first >= 0) ::kill(::getpid(), SIGKILL);
    }
    return std::string("charged");
  };
  const auto look_up = [&](const Record&, const PaymentRequest<std::string>& request) {
    return ledger.count().contains(request.value)
               ? PaymentResult<std::string>(succeeded(std::string("charged")))
               : PaymentResult<std::string>(not_executed("the provider knows nothing of it"));
  };
  PaymentWorkerOptions options;
  options.poll = Duration(50);
  options.doubt_pause = Duration(50);
  options.backoff = {Duration(50), Duration(200), Jitter::equal};
  PaymentWorker worker(guard, source, read, charge, look_up, options);
  Stop stop;
  worker.run(stop);
}

template <class Broker>
void workers_that_die_charge_once(const Broker& broker, const std::string& store_uri) {
  const ScratchDirectory books;
  const std::string prefix = RedisServer::fresh_prefix("paid");
  {
    const auto producer = broker.open();
    for (int order = 0; order < orders; ++order)
      producer->put("customer" + std::to_string(order % 5), std::to_string(order));
  }
  int lives = 0;
  for (bool ended = false; !ended && lives < 20; ++lives) {
    Child child([&](const Child::Say& say) {
      pay_all(broker, store_uri, prefix, books.path());
      say("done");
    });
    ended = child.line() == "done";
  }
  CHECK(lives == orders / deadly + 1);
  const auto charges = Lines(books / "charges").count();
  CHECK(charges.size() == orders);
  for (const auto& [order, count] : charges) {
    INFO("order " << order);
    CHECK(count == 1);
  }
  CHECK(broker.dead_letters().empty());
}

/// Puts numbers until it ends, each until it is confirmed.
template <class Broker>
class Producer {
 public:
  explicit Producer(const Broker& broker) : thread_([this, queue = broker.open()] { run(*queue); }) {}
  ~Producer() { end(); }
  Producer(const Producer&) = delete;
  Producer& operator=(const Producer&) = delete;

  int confirmed() const { return confirmed_; }
  bool await(int more) {
    const int goal = confirmed_ + more;
    const auto end = std::chrono::steady_clock::now() + patience;
    while (confirmed_ < goal && std::chrono::steady_clock::now() < end)
      events_.wait_for(patience, [&] { return confirmed_ >= goal; });
    return confirmed_ >= goal;
  }
  void end() {
    events_.request();
    if (thread_.joinable()) thread_.join();
  }

 private:
  void run(typename Broker::Queue& queue) {
    while (!events_.requested()) try {
        queue.put("k" + std::to_string(confirmed_ % 7), std::to_string(confirmed_));  // perhaps once more
        ++confirmed_;
        events_.wake();
      } catch (const Error& error) {
        if (error.code() != errc::store_unavailable) std::terminate();
        events_.wait_for(Duration(10), [] { return false; });  // a broker that starts needs the processor
      }
  }

  Stop events_;
  std::atomic<int> confirmed_{0};
  std::thread thread_;
};

/// A broker that is killed while messages are put and consumed, and started again.
template <class Broker, class Server, class Ready>
void nothing_confirmed_is_lost(const Broker& broker, Server& server, Ready&& ready_to_die) {
  std::map<std::string, int> last;
  std::set<int> taken;
  int out_of_order = 0;
  const auto take = [&](auto& consumer, const Message& message) {
    const int number = std::stoi(message.body);
    if (taken.insert(number).second) {
      const auto before = last.try_emplace(message.key, -1).first;
      out_of_order += number < before->second;
      before->second = number;
    }
    consumer.ack(message);
  };
  Producer<Broker> producer(broker);
  const auto consumer = broker.open();
  REQUIRE(producer.await(50));
  for (int count = 0; count < 20; ++count) {
    const auto message = next(*consumer);
    REQUIRE(message);
    take(*consumer, *message);
  }
  REQUIRE(ready_to_die());
  const std::optional<Message> out = next(*consumer);  // when the broker dies
  REQUIRE(out);
  server.kill();
  server.start();
  CHECK(producer.await(20));
  try {
    consumer->ack(*out);
  } catch (const Error& error) {
    CHECK(error.code() == errc::store_unavailable);
  }
  taken.insert(std::stoi(out->body));
  producer.end();
  const auto missing = [&] {
    int count = 0;
    for (int number = 0; number < producer.confirmed(); ++number) count += !taken.contains(number);
    return count;
  };
  while (missing() != 0)
    if (const auto message = next(*consumer, Duration(5'000)))
      take(*consumer, *message);
    else
      break;
  CHECK(missing() == 0);
  CHECK(out_of_order == 0);
}

}  // namespace

TEST_CASE("What a killed process had of a Redis stream comes again elsewhere, first of its key",
          "[fault][queue][redis]") {
  a_killed_consumer_is_replaced(Redis(shared_redis().uri()));
}

TEST_CASE("What a killed process had of a RabbitMQ queue comes again elsewhere, first of its key",
          "[fault][queue][rabbitmq]") {
  a_killed_consumer_is_replaced(Rabbit(shared_rabbitmq().uri()));
}

TEST_CASE("Workers on Redis Streams that are killed between charge and acknowledgement charge once",
          "[fault][queue][redis]") {
  workers_that_die_charge_once(Redis(shared_redis().uri()), shared_redis().uri());
}

TEST_CASE("Workers on RabbitMQ that are killed between charge and acknowledgement charge once",
          "[fault][queue][rabbitmq]") {
  workers_that_die_charge_once(Rabbit(shared_rabbitmq().uri()), shared_redis().uri());
}

TEST_CASE("A Redis server that syncs always loses no message when it is killed", "[fault][queue][redis]") {
  RedisServer server;
  nothing_confirmed_is_lost(Redis(server.uri()), server, [] { return true; });
}

namespace {

/// Whether a broker's disk has all that it keeps of a quorum queue: the queue in its database, and in
/// names.dets and meta.dets the queue's log and term, without which it never has a leader again.
bool is_written(const std::filesystem::path& mnesia, const std::string& queue) {
  std::set<std::string> found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(mnesia)) {
    std::string name = entry.path().filename().string();
    if (name == "LATEST.LOG") name = "rabbit_durable_queue.DCL";  // where that comes from
    if (name != "names.dets" && name != "meta.dets" && name != "rabbit_durable_queue.DCL") continue;
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    if (bytes.find(queue) != bytes.npos) found.insert(name);
  }
  return found.size() == 3;
}

}  // namespace

TEST_CASE("A RabbitMQ broker loses no message when it is killed", "[fault][queue][rabbitmq]") {
  RabbitServer server;
  const Rabbit broker(server.uri());
  // A broker keeps what it knows of new queues back from its disk, for some seconds at most.
  const auto written = [&] {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!is_written(server.as_fixture().directory / "mnesia", broker.options.queue + ".1"))
      if (std::chrono::steady_clock::now() > end) return false;
    return true;
  };
  nothing_confirmed_is_lost(broker, server, written);
}

TEST_CASE("A Redis server that writes nothing down forgets a queue, and the queue goes on",
          "[fault][queue][redis]") {
  RedisServer server({{"appendonly", "no"}, {"save", "\"\""}});
  Redis broker(server.uri());
  broker.options.prefetch = 1;
  const auto queue = broker.open();
  queue->put("k", "out");
  const std::optional<Message> out = next(*queue);
  REQUIRE(out);
  broker.open()->put("k", "forgotten");  // which the consumer has no place for
  server.kill();
  server.start();
  CHECK(server.command({"KEYS", "*"}).elements.empty());
  queue->put("k", "kept");
  try {
    queue->ack(*out);
  } catch (const Error& error) {
    CHECK(error.code() == errc::store_unavailable);
  }
  CHECK(next_body(*queue) == "kept");
}

TEST_CASE("A consumer of a Redis stream that was stopped for longer than its lease hands out nothing more",
          "[fault][queue][redis]") {
  const Redis broker(shared_redis().uri(), 1);
  const auto producer = broker.open();
  for (const char* body : {"1", "2", "3"}) producer->put("k", body);
  Child child([&](const Child::Say& say) {
    const auto consumer = broker.open();
    const std::optional<Message> first = next(*consumer);
    say(first->body);
    ::raise(SIGSTOP);
    consumer->ack(*first);  // is another's
    Stop stop;
    const auto more = consumer->receive(a_while, stop);
    say(more ? "handed out " + more->body : "nothing");
    for (;;) ::pause();
  });
  REQUIRE(child.line() == "1");
  const auto other = broker.open();
  const std::optional<Message> first = next(*other);
  REQUIRE(first);
  CHECK(first->body == "1");
  child.signal(SIGCONT);
  CHECK(child.line() == "nothing");
  CHECK(shared_redis()
            .command({"XPENDING", "{" + broker.options.stream + ":0}", broker.options.group})
            .elements.at(0)
            .integer == 3);
  other->retry_later(*first, Duration(0));  // was not acknowledged by the other
  CHECK(next_body(*other) == "1");
  CHECK(next_body(*other) == "2");
  CHECK(next_body(*other) == "3");
}

TEST_CASE("A Redis that is slow when a lease ends does not have the consumer forget what it held",
          "[fault][queue][redis]") {
  RedisServer server({{"hz", "500"}});  // pauses end when they should
  Redis broker(server.uri(), 1);
  const auto queue = broker.open();
  Stop stop;
  const auto for_a_while = [&](Duration pause) {  // looks all the time
    const auto end = std::chrono::steady_clock::now() + pause;
    while (std::chrono::steady_clock::now() < end)
      if (queue->receive(Duration(1), stop)) return false;
    return true;
  };
  for (int turn = 0; turn < 2; ++turn) {
    queue->put("k", "1");
    queue->put("k", "2");
    const std::optional<Message> first = next(*queue);
    REQUIRE(first);
    CHECK(for_a_while(Duration(40 + 100 * turn)));
    server.command({"CLIENT", "PAUSE", "100", "ALL"});  // so that it counts the lease from later on
    CHECK(for_a_while(Duration(30)));
    server.command({"CLIENT", "PAUSE", "540", "ALL"});  // and answers once more after it has ended here
    for_a_while(Duration(560));
    queue->ack(*first);
    std::set<std::string> came;
    while (came.size() < 2) {
      const std::string body = next_body(*queue, Duration(1500));
      REQUIRE(body != "none");
      came.insert(body);
    }
  }
}

TEST_CASE("Answers of Redis that are lost do not count as deliveries", "[fault][queue][redis]") {
  RedisServer server;
  Redis broker(server.uri(), 1);
  broker.options.lease = Duration(5000);
  broker.options.connection.reply_timeout = Duration(100);
  {
    const auto queue = broker.open();
    for (const char* body : {"1", "2"}) queue->put("k", body);
    const std::optional<Message> first = next(*queue);
    REQUIRE(first);
    queue->retry_later(*first, std::chrono::hours(1));  // as one in doubt
    for (int times = 0; times < 4; ++times) {
      server.command({"CLIENT", "PAUSE", "150", "ALL"});
      next(*queue, Duration(400));
    }
  }
  const auto other = broker.open();
  for (const char* body : {"1", "2"}) {
    const std::optional<Message> message = next(*other);
    REQUIRE(message);
    CHECK(message->body == body);
    CHECK(message->deliveries == 2);
    other->ack(*message);
  }
}

TEST_CASE("Connections to Redis that break between receive and acknowledgement cost nothing",
          "[fault][queue][redis]") {
  RedisServer server;
  const Redis broker(server.uri());
  const auto queue = broker.open();
  queue->put("k", "1");
  queue->put("k", "2");
  const std::optional<Message> first = next(*queue);
  REQUIRE(first);
  server.command({"CLIENT", "KILL", "TYPE", "normal"});
  try {
    queue->ack(*first);
  } catch (const Error& error) {  // it comes again
    CHECK(error.code() == errc::store_unavailable);
    CHECK(next_body(*queue) == "1");
  }
  CHECK(next_body(*queue) == "2");
  CHECK(next_body(*queue, a_while) == "none");
}

namespace {

/// Partitions of each consumer that has any.
std::vector<int> shares(const Redis& broker) {
  std::map<std::string, int> held;
  for (std::size_t at = 0; at < broker.options.partitions; ++at) {
    const auto answer = shared_redis().command(
        {"GET", "{" + broker.options.stream + ":" + std::to_string(at) + "}:lease:" + broker.options.group});
    if (!answer.nil) ++held[answer.text];
  }
  std::vector<int> counts;
  for (const auto& [token, count] : held) counts.push_back(count);
  std::sort(counts.begin(), counts.end());
  return counts;
}

/// While somebody asks for messages of each.
bool await_shares(const Redis& broker, const std::vector<RedisStream*>& consumers,
                  const std::vector<int>& wanted) {
  const auto end = std::chrono::steady_clock::now() + patience;
  Stop stop;
  while (shares(broker) != wanted) {
    if (std::chrono::steady_clock::now() > end) return false;
    for (RedisStream* const consumer : consumers) (void)consumer->receive(Duration(10), stop);
  }
  return true;
}

}  // namespace

TEST_CASE("Consumers of a Redis stream share its partitions evenly as they come and go",
          "[fault][queue][redis]") {
  Redis broker(shared_redis().uri(), 8);
  broker.options.idle_after = Duration(400);
  const auto one = broker.open();
  CHECK(await_shares(broker, {one.get()}, {8}));
  auto two = broker.open(), three = broker.open();
  CHECK(await_shares(broker, {one.get(), two.get(), three.get()}, {2, 3, 3}));
  two.reset();
  CHECK(await_shares(broker, {one.get(), three.get()}, {4, 4}));
  CHECK(await_shares(broker, {one.get()}, {8}));  // nobody receives from the third
  CHECK(await_shares(broker, {}, {}));
  one->put("k", "1");
  CHECK(next_body(*one) == "1");
}

TEST_CASE("Acknowledged entries of a Redis stream go away, others stay", "[fault][queue][redis]") {
  Redis broker(shared_redis().uri(), 1);
  broker.options.trim_interval = Duration(20);
  const auto queue = broker.open();
  const std::string stream = "{" + broker.options.stream + ":0}";
  const auto length = [&] { return shared_redis().command({"XLEN", stream}).integer; };
  const auto await_length = [&](long long wanted) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (length() != wanted && std::chrono::steady_clock::now() < end) next(*queue, Duration(20));
    return length() == wanted;
  };
  for (const char* body : {"1", "2", "3", "4"}) queue->put(body, body);
  CHECK(next_body(*queue) == "1");
  const std::optional<Message> second = next(*queue);
  REQUIRE(second);
  CHECK(next_body(*queue) == "3");
  CHECK(next_body(*queue) == "4");
  CHECK(await_length(3));  // from the second on
  queue->ack(*second);
  CHECK(await_length(0));
  // Another group reads it, too.
  shared_redis().command({"XGROUP", "CREATE", stream, "audit", "0"});
  queue->put("k", "5");
  CHECK(next_body(*queue) == "5");
  CHECK(next_body(*queue, 10 * broker.options.trim_interval) == "none");
  CHECK(length() == 1);
  shared_redis().command({"XGROUP", "DESTROY", stream, "audit"});
  CHECK(await_length(0));
}

TEST_CASE("A RabbitMQ consumer outlives its heartbeats while a payment takes long",
          "[fault][queue][rabbitmq]") {
  Rabbit broker(shared_rabbitmq().uri(), 1);
  broker.options.connection.heartbeat = Duration(1000);
  const auto queue = broker.open();
  queue->put("k", "1");
  const std::optional<Message> message = next(*queue);
  REQUIRE(message);
  CHECK(!next(*queue, Duration(3500)));  // the broker gives up after two heartbeats, and hands it out again
  queue->ack(*message);
  CHECK(next_body(*queue, a_while) == "none");
  queue->put("k", "2");
  CHECK(next_body(*queue) == "2");
}

namespace {

/// Keys of which each goes to a partition of its own.
std::vector<std::string> key_of_each(std::size_t partitions) {
  std::vector<std::string> keys(partitions);
  for (std::size_t left = partitions, number = 0; left != 0; ++number) {
    const std::string key = "k" + std::to_string(number);
    std::string& place = keys[detail::partition_of(key, partitions)];
    left -= place.empty();
    if (place.empty()) place = key;
  }
  return keys;
}

/// Puts a message into each partition, again and again, and has them received, until so many came from each
/// consumer.
class Rounds {
 public:
  Rounds(const Rabbit& broker, RabbitQueue& producer)
      : keys_(key_of_each(broker.options.partitions)), producer_(producer) {}

  bool await(const std::vector<RabbitQueue*>& consumers, const std::vector<int>& wanted) {
    const auto end = std::chrono::steady_clock::now() + patience;
    for (std::vector<int> counts; counts != wanted; ++round_) {
      if (std::chrono::steady_clock::now() > end) return false;
      for (const std::string& key : keys_) producer_.put(key, std::to_string(round_));
      counts.assign(consumers.size(), 0);
      for (std::size_t left = keys_.size(), turn = 0; left != 0; ++turn) {
        const std::size_t at = turn % consumers.size();
        const std::optional<Message> message = next(*consumers[at], Duration(10));
        if (!message && std::chrono::steady_clock::now() > end) return false;
        if (!message) continue;
        wrong_ += message->body != std::to_string(round_);
        consumers[at]->ack(*message);
        ++counts[at];
        --left;
      }
    }
    return true;
  }
  /// Messages that came twice, or not in order.
  int wrong() const { return wrong_; }

 private:
  const std::vector<std::string> keys_;
  RabbitQueue& producer_;
  int round_ = 0, wrong_ = 0;
};

/// What operators do to a broker, on a connection of their own.
class Operator {
 public:
  explicit Operator(const Rabbit& broker)
      : connection_(detail::rabbit_address(broker.uri, broker.options.connection),
                    broker.options.connection) {
    connection_.open_channel(1);
  }
  void remove(const std::string& queue) {
    amqp_queue_delete(connection_.native(), 1, detail::rabbit_bytes(queue), 0, 0);
    connection_.expect_asked();
  }
  /// One that refuses what it has no place for, and goes with this connection.
  void make_of_length(const std::string& queue, int messages) {
    amqp_table_entry_t entries[2] = {};
    entries[0].key = amqp_cstring_bytes("x-max-length");
    entries[0].value.kind = AMQP_FIELD_KIND_I32;
    entries[0].value.value.i32 = messages;
    entries[1].key = amqp_cstring_bytes("x-overflow");
    entries[1].value.kind = AMQP_FIELD_KIND_UTF8;
    entries[1].value.value.bytes = amqp_cstring_bytes("reject-publish");
    amqp_queue_declare(connection_.native(), 1, detail::rabbit_bytes(queue), 0, 0, 1, 0, {2, entries});
    connection_.expect_asked();
  }

 private:
  detail::RabbitConnection connection_;
};

template <class Do>
std::string outage(Do&& act) {
  try {
    act();
  } catch (const Error& error) {
    CHECK(error.code() == errc::store_unavailable);
    return error.what();
  }
  return "none";
}

}  // namespace

TEST_CASE("Consumers of a RabbitMQ queue share its partitions evenly as they come and go",
          "[fault][queue][rabbitmq]") {
  Rabbit broker(shared_rabbitmq().uri(), 4);
  broker.options.share_interval = Duration(50);
  broker.options.idle_after = Duration(400);
  const auto producer = broker.open(), one = broker.open();
  Rounds rounds(broker, *producer);
  CHECK(rounds.await({one.get()}, {4}));
  auto two = broker.open();
  CHECK(rounds.await({one.get(), two.get()}, {2, 2}));
  two.reset();
  CHECK(rounds.await({one.get()}, {4}));
  two = broker.open();
  CHECK(rounds.await({one.get(), two.get()}, {2, 2}));
  CHECK(rounds.await({two.get()}, {4}));  // nobody receives from the first
  CHECK(rounds.wrong() == 0);
}

TEST_CASE("Connections to RabbitMQ that break while messages are out cost nothing",
          "[fault][queue][rabbitmq]") {
  TcpProxy proxy(shared_rabbitmq().port(), Speaks::anything);
  const Rabbit direct(shared_rabbitmq().uri(), 1);
  Rabbit broker = direct;
  broker.uri = RabbitServer::uri(proxy.port());
  const auto producer = direct.open(), consumer = broker.open();
  for (const char* key : {"a", "b"}) producer->put(key, "1");
  const std::optional<Message> a = next(*consumer), b = next(*consumer);
  REQUIRE((a && b));
  proxy.cut_all();
  producer->put("c", "2");
  CHECK(next_body(*consumer) == "2");  // by another connection
  consumer->ack(*a);                   // of the one that is gone
  consumer->retry_later(*b, Duration(0));
  outage([&] { consumer->dead_letter(*b, "late"); });
  for (int count = 0; count < 2; ++count) {
    const std::optional<Message> again = next(*consumer);
    REQUIRE(again);
    CHECK(again->key == (count == 0 ? "a" : "b"));
    CHECK(again->deliveries == 2);
    consumer->ack(*again);
  }
  CHECK(next_body(*consumer, a_while) == "none");
  CHECK(direct.dead_letters().empty());
}

TEST_CASE("What was confirmed on connections to RabbitMQ that break anywhere is there, in order",
          "[fault][queue][rabbitmq]") {
  TcpProxy proxy(shared_rabbitmq().port(), Speaks::anything);
  const Rabbit direct(shared_rabbitmq().uri(), 1);
  Rabbit broker = direct;
  broker.uri = RabbitServer::uri(proxy.port());
  const auto producer = broker.open();
  producer->put("k", "0");
  std::vector<std::string> confirmed = {"0"};
  int lost = 0;
  const auto put = [&](const std::string& body) {
    const bool fine = outage([&] { producer->put("k", body); }) == "none";
    if (fine) confirmed.push_back(body);
    return fine;
  };
  for (const From side : {From::client, From::server})
    for (const std::size_t bytes : {0u, 1u, 7u, 8u, 20u, 21u, 50u, 110u, 300u}) {
      const std::string name = std::to_string(static_cast<int>(side)) + "/" + std::to_string(bytes);
      proxy.reset();
      proxy.cut_after(side, bytes);
      for (int number = 0; proxy.hits() == 0; ++number) lost += !put(name + "." + std::to_string(number));
      REQUIRE(put(name + " afterwards"));  // whatever the answer was that did not come
    }
  CHECK(lost >= 10);
  const auto consumer = direct.open();
  std::vector<std::string> came;
  while (came.empty() || came.back() != confirmed.back()) came.push_back(next_body(*consumer));
  std::size_t at = 0;
  for (const std::string& body : came) at += at < confirmed.size() && body == confirmed[at];
  CHECK(at == confirmed.size());
  CHECK(std::set<std::string>(came.begin(), came.end()).size() == came.size());
}

TEST_CASE("A broker that hangs is a put without confirmation", "[fault][queue][rabbitmq]") {
  TcpProxy proxy(shared_rabbitmq().port(), Speaks::anything);
  Rabbit broker(RabbitServer::uri(proxy.port()), 1);
  broker.options.connection.reply_timeout = Duration(300);
  const auto queue = broker.open();
  queue->put("k", "1");
  proxy.freeze();
  CHECK(outage([&] { queue->put("k", "2"); }).find("not known") != std::string::npos);
  proxy.thaw();
  queue->put("k", "3");
  for (const char* body : {"1", "2", "3"}) CHECK(next_body(*queue) == body);
}

TEST_CASE("A message that RabbitMQ refuses or returns is not put", "[fault][queue][rabbitmq]") {
  const Rabbit broker(shared_rabbitmq().uri(), 1);
  Operator admin(broker);
  const std::string full = broker.options.queue + ".full";
  admin.make_of_length(full, 1);
  detail::RabbitPublisher publisher(detail::rabbit_address(broker.uri, broker.options.connection),
                                    broker.options);
  publisher.put({full, "body", "0", {}});
  CHECK(outage([&] { publisher.put({full, "body", "1", {}}); }).find("refused") != std::string::npos);
  CHECK(outage([&] {
          publisher.put({full + "er", "body", "2", {}});
        }).find("not taken") != std::string::npos);

  const auto queue = broker.open();
  queue->put("k", "1");
  admin.remove(broker.options.queue + ".0");
  CHECK(outage([&] { queue->put("k", "2"); }).find("not taken") != std::string::npos);
  broker.open()->put("k", "3");  // who connects declares the queue
  queue->put("k", "4");
  CHECK(next_body(*queue) == "3");
}

TEST_CASE("A consumer of RabbitMQ goes on when its queues are deleted under it", "[fault][queue][rabbitmq]") {
  const Rabbit broker(shared_rabbitmq().uri(), 1);
  Operator admin(broker);
  const auto queue = broker.open();
  queue->put("k", "1");
  CHECK(next_body(*queue) == "1");
  admin.remove(broker.options.queue + ".0");
  while (outage([&] { queue->put("k", "2"); }) != "none") continue;  // until the consumer has declared it
  std::optional<Message> message = next(*queue);
  REQUIRE(message);
  CHECK(message->body == "2");
  admin.remove(broker.options.queue + ".dead");
  CHECK(outage([&] { queue->dead_letter(*message, "poison"); }).find("not taken") != std::string::npos);
  message = next(*queue);
  REQUIRE(message);
  CHECK(message->body == "2");
  CHECK(message->deliveries == 1);  // nothing was wrong with it
  broker.open()->put("", "connects");
  queue->dead_letter(*message, "poison");
  CHECK(broker.dead_letters().size() == 1);
  CHECK(next_body(*queue) == "connects");
  CHECK(next_body(*queue, a_while) == "none");
}

TEST_CASE("A child of a process that uses a RabbitMQ queue is told so", "[fault][queue][rabbitmq]") {
  const Rabbit broker(shared_rabbitmq().uri(), 1);
  auto queue = broker.open();
  queue->put("k", "1");
  CHECK(next_body(*queue) == "1");
  Child child([&](const Child::Say& say) {
    Stop stop;
    const auto told = [&](const auto& act) {
      try {
        act();
      } catch (const Error& error) {
        return say(error.code() == errc::store_forked ? "forked" : error.what());
      }
      say("nothing");
    };
    told([&] { queue->put("k", "2"); });
    told([&] { (void)queue->receive(a_while, stop); });
    queue.reset();
    say("gone");
  });
  CHECK(child.line() == "forked");
  CHECK(child.line() == "forked");
  CHECK(child.line() == "gone");
  queue->put("k", "3");
  CHECK(next_body(*queue) == "3");
}

TEST_CASE("A queue tells what is wrong with how it is opened, and not its URI", "[fault][queue]") {
  const auto refused = [](const auto& open) {
    try {
      open();
      return std::string("nothing");
    } catch (const Error& error) {
      CHECK(error.code() == errc::invalid_options);
      CHECK(std::string(error.what()).find("secret") == std::string::npos);
      return std::string(error.what());
    }
  };
  CHECK(refused([] { RabbitQueue queue("amqp:/secret"); }).find("amqp://") != std::string::npos);
  CHECK(refused([] { RabbitQueue queue("amqps://u:secret@localhost"); }).find("TLS") != std::string::npos);
  refused([] { RabbitQueue queue("amqp://localhost", {.queue = "a b"}); });
  for (const char* const uri : {"amqp://localhost", "amqp://localhost:5672/", "amqp://localhost/%2f"})
    CHECK(detail::rabbit_address(uri, {}).vhost == "/");
  CHECK(detail::rabbit_address("amqp://localhost/shop", {}).vhost == "shop");
  refused([] { RabbitQueue queue("amqp://localhost", {.partitions = 0}); });
  refused([] { RedisStream queue("redis://localhost", {.stream = "{tag}"}); });
  refused([] { RedisStream queue("redis://localhost", {.lease = Duration(1)}); });
  refused([] { RedisStream queue("redis://localhost", {.prefetch = 0}); });

  Redis redis(shared_redis().uri(), 2);
  redis.open()->put("k", "1");
  redis.options.partitions = 3;
  CHECK(refused([&] { redis.open()->put("k", "2"); }).find("partitions") != std::string::npos);
  CHECK(refused([&] { next_body(*redis.open()); }).find("partitions") != std::string::npos);

  Rabbit rabbit(shared_rabbitmq().uri());
  try {
    rabbit.open()->put(std::string(16'385, 'k'), "1");
    CHECK(false);
  } catch (const Error& error) {
    CHECK(error.code() == errc::invalid_key);
  }
  RedisStreamOptions nowhere;
  nowhere.connection.connect_timeout = nowhere.connection.reply_timeout = Duration(100);
  CHECK_THROWS_WITH(RedisStream("redis://127.0.0.1:1", nowhere).put("k", "1"),
                    support::contains("the queue's broker"));
  const std::size_t at = rabbit.uri.find("://") + 3, end = rabbit.uri.find('@');
  REQUIRE(end != std::string::npos);
  rabbit.uri.replace(at, end - at, "guest:secret");
  refused([&] { rabbit.open()->put("k", "1"); });
}

TEST_CASE("The partition of a key is the same everywhere and for ever", "[fault][queue]") {
  CHECK(detail::partition_hash("") == 0xcbf29ce44fd0bfc1);
  CHECK(detail::partition_hash("a") == 0xaf63dc4c296230c0);
  CHECK(detail::partition_hash("customer-17") == 0x1e2c8170f50bd750);
  CHECK(detail::partition_hash(std::string_view("\xff\0", 2)) == 0x0a99a607bc6faded);
  CHECK(detail::partition_of("customer-17", 8) == 0);
  CHECK(detail::partition_of(std::string_view("\xff\0", 2), 8) == 5);
}
