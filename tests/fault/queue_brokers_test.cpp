// Consumers that die, brokers that die, and connections that break, between a message and its settling.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
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

constexpr int orders = 16;

/// Pays what the queue asks for until all orders are acknowledged. The process dies right after each fourth
/// charge, once.
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
      queue->ack(message);
      acked.add(message.body);
    }
    void retry_later(const Message& message, Duration pause) { queue->retry_later(message, pause); }
    void dead_letter(const Message& message, std::string_view why) { queue->dead_letter(message, why); }
  } source{broker.open(), acked};
  const auto read = [](const Message& message) {
    return PaymentRequest<std::string>{
        IdempotencyKey("shop", message.body), fingerprint(message.body), message.body, {}};
  };
  const auto charge = [&](Attempt&, const std::string& order) {
    ledger.add(order);
    const int first = ::open((books / ("died-" + order)).c_str(), O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (std::stoi(order) % 4 == 0 && first >= 0) ::kill(::getpid(), SIGKILL);
    ::close(first);
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
  CHECK(lives > 2);  // two may be about to die at a time
  const auto charges = Lines(books / "charges").count();
  CHECK(charges.size() == orders);
  for (const auto& [order, count] : charges) {
    INFO("order " << order);
    CHECK(count == 1);
  }
  CHECK(broker.dead_letters().empty());
}

/// A broker that is killed while messages are put and consumed, and started again.
template <class Broker, class Server>
void nothing_confirmed_is_lost(const Broker& broker, Server& server) {
  std::atomic<int> confirmed{0};
  std::set<std::string> taken;
  std::atomic<bool> enough{false};
  std::thread putting([&] {
    const auto producer = broker.open();
    for (int number = 0; !enough; ++number) {
      for (bool put = false; !put && !enough;) try {
          producer->put("k" + std::to_string(number % 7), std::to_string(number));
          put = true;  // perhaps for the second time
          ++confirmed;
        } catch (const Error& error) {
          if (error.code() != errc::store_unavailable) std::terminate();
        }
    }
  });
  const auto await = [&](int more) {
    const auto end = std::chrono::steady_clock::now() + patience;
    for (const int goal = confirmed + more; confirmed < goal && std::chrono::steady_clock::now() < end;)
      std::this_thread::yield();
  };
  std::map<std::string, int> last;
  int out_of_order = 0;
  const auto take = [&](auto& consumer, const Message& message) {
    const int number = std::stoi(message.body);
    if (taken.insert(message.body).second) {
      const auto before = last.try_emplace(message.key, -1).first;
      out_of_order += number < before->second;
      before->second = number;
    }
    consumer.ack(message);
  };
  {
    const auto consumer = broker.open();
    await(50);
    for (int count = 0; count < 20; ++count)
      if (const auto message = next(*consumer)) take(*consumer, *message);
    await(10);
    const std::optional<Message> out = next(*consumer);  // when the broker dies
    server.kill();
    server.start();
    await(20);
    if (out) {
      try {
        consumer->ack(*out);
      } catch (const Error&) {
      }
    }
    enough = true;
    putting.join();
    for (std::optional<Message> message; (message = next(*consumer, Duration(2000)));)
      take(*consumer, *message);
    if (out) taken.insert(out->body);
  }
  CHECK(out_of_order == 0);
  int missing = 0;
  for (int number = 0; number < confirmed; ++number) missing += !taken.contains(std::to_string(number));
  CHECK(missing == 0);
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
  nothing_confirmed_is_lost(Redis(server.uri()), server);
}

TEST_CASE("A RabbitMQ broker loses no message when it is killed", "[fault][queue][rabbitmq]") {
  RabbitServer server;
  const Rabbit broker(server.uri());
  CHECK_FALSE(next(*broker.open(), a_while));
  server.stop();   // a broker that is killed in the first seconds of its life has not yet written its users
  server.start();  // and queues down
  nothing_confirmed_is_lost(broker, server);
}

TEST_CASE("A Redis server that writes nothing down forgets a queue, and the queue goes on",
          "[fault][queue][redis]") {
  RedisServer server({{"appendonly", "no"}, {"save", "\"\""}});
  const Redis broker(server.uri());
  const auto queue = broker.open();
  queue->put("k", "taken");
  CHECK(next_body(*queue) == "taken");
  broker.open()->put("k", "forgotten");
  server.kill();
  server.start();
  CHECK(server.command({"KEYS", "*"}).elements.empty());
  queue->put("k", "kept");
  std::string body = next_body(*queue);
  if (body == "forgotten") body = next_body(*queue);  // which the consumer had already
  CHECK(body == "kept");
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
