#pragma once
// A network that fails when a test says so, between a client and a server. It follows the messages of
// PostgreSQL's protocol (https://www.postgresql.org/docs/current/protocol-flow.html; also pgbouncer's), or
// those of Redis (https://redis.io/docs/latest/develop/reference/protocol-spec/), and so cuts at a statement
// or a command, not at a byte count. Of any other protocol it knows nothing, and cuts at a byte count.
//
//   TcpProxy proxy(server.port());
//   PostgresStore store(proxy.conninfo(server.conninfo(database)));
//   proxy.arm(Cut::before_reply, "COMMIT");         // the next COMMIT is executed, and its reply is lost
//   ...
//   CHECK(proxy.await_hit());
//
//   TcpProxy redis(server.port(), Speaks::resp);
//   redis.arm(Cut::reply_never, "EVALSHA", 2);      // its words, separated by spaces, contain that
//
//   TcpProxy rabbitmq(server.port(), Speaks::anything);
//   rabbitmq.cut_after(From::client, 1000);

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

enum class Speaks : std::uint8_t { postgres, resp, anything };
enum class From : std::uint8_t { client, server };

/// What becomes of a request, which is all messages up to a Query or a Sync, or of its reply, which is all up
/// to ReadyForQuery; with Redis, one command of a pipeline and one value. A cut closes both sides of the
/// connection.
enum class Cut : std::uint8_t {
  before_request,  ///< the server never sees it
  within_request,  ///< the server gets the first half of its bytes
  after_request,   ///< the server has it, and executes it; the client is cut off at once
  before_reply,    ///< the server has executed it; the client gets none of the reply
  within_reply,    ///< the client gets the first half of the reply's bytes
  after_reply,     ///< the client has all of the reply, and then loses the connection
  reply_never,     ///< the server has executed it; the connection stays open, and nothing comes any more
  request_held,    ///< the server does not get it until release(); the connection stays open. After release()
                   ///< the server gets it even where the client has gone meanwhile, as from a slow network
};

/// Thread-safe. One thread of its own moves the bytes. TLS passes through only where the server refuses it.
class TcpProxy {
 public:
  explicit TcpProxy(int to_port, Speaks protocol = Speaks::postgres);
  ~TcpProxy();
  TcpProxy(const TcpProxy&) = delete;
  TcpProxy& operator=(const TcpProxy&) = delete;

  int port() const noexcept;
  /// A server's conninfo, by way of the proxy.
  std::string conninfo(const std::string& of_the_server) const;

  /// Does that to the `nth` request (from now, counting from 1) whose SQL contains the text (in any case;
  /// empty: any request). Several may be armed; each hits once. The SQL of a named statement is known from
  /// its preparation.
  void arm(Cut cut, const std::string& containing = "", std::size_t nth = 1);
  /// Likewise to every such request until reset().
  void arm_always(Cut cut, const std::string& containing = "");
  /// Counts the bytes that clients, or servers, send from now on; passes on so many, and cuts the connection
  /// that brought the last one, which counts as a hit. Once. Only where it speaks anything.
  void cut_after(From side, std::size_t bytes);
  /// How many cuts have hit since the last reset().
  std::size_t hits() const;
  /// Waits until so many have hit; false after the time.
  bool await_hit(std::size_t hits = 1, std::chrono::milliseconds time = std::chrono::seconds(10));
  /// Lets the server have the requests that are held.
  void release();
  /// Disarms, releases, accepts connections again and forgets the counts. Connections stay.
  void reset();

  /// Cuts all connections; new ones are possible.
  void cut_all();
  /// New connections are refused, as by a server that is down; those that there are stay.
  void refuse();
  /// New connections are taken, and nothing comes: a server that hangs, a firewall.
  void swallow();
  /// New connections are forwarded again.
  void accept();
  /// Nothing is moved on any connection until thaw(): a partition.
  void freeze();
  void thaw();
  /// Connections from now on go to another port.
  void redirect(int to_port);

  /// Of the requests that clients have sent since the last reset(), connecting to PostgreSQL left out.
  std::size_t requests() const;
  /// How often a client has sent something while no reply of its connection was outstanding, connecting left
  /// out: what a network's latency is paid for. A pipeline is one.
  std::size_t round_trips() const;
  /// The SQL of those requests, or the words of those commands, in order.
  std::vector<std::string> statements() const;
  /// Connections that clients have made since the last reset(), and those open now.
  std::size_t connected() const;
  std::size_t open() const;

 private:
  class Core;
  std::unique_ptr<Core> core_;
};
