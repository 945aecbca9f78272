#pragma once
// The time of a PostgreSQL server, for hosts whose own clocks cannot be trusted.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <paidonce/clock.hpp>
#include <paidonce/clocks/server/server_clock.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/stores/postgres/connecting.hpp>
#include <paidonce/stores/postgres/connection.hpp>
#include <paidonce/stores/postgres/hosts.hpp>
#include <paidonce/stores/postgres/row.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1 {

struct PostgresClockOptions {
  Duration interval{10'000};          ///< between two measurements
  Duration connect_timeout{3'000};    ///< for each host
  Duration statement_timeout{1'000};  ///< a server that answers later than that has told no time
};

using PostgresClockStats = ServerClockStats;

namespace detail {

/// Asks the first of the hosts that answers.
class PostgresTime {
 public:
  PostgresTime(std::string conninfo, PostgresClockOptions options)
      : conninfo_(std::move(conninfo)), hosts_(hosts_of(conninfo_)), options_(options) {
    check_clock_durations({options.interval, options.connect_timeout, options.statement_timeout});
  }

  void connect() {
    if (connection_ && connection_->quiet()) return;
    connection_.reset();
    for (std::size_t i = 0;; ++i) {
      try {
        connection_.emplace(
            detail::connect(conninfo_, hosts_[i], postgres_deadline(options_.connect_timeout)),
            Statements::unnamed);
        return;
      } catch (const Error&) {
        if (i + 1 == hosts_.size()) throw;
      }
    }
  }

  std::int64_t look() {
    const PostgresStatement time{PostgresStatement::never, "",
                                 "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::int8"};
    const PostgresAnswers answers =
        connection_->run({{time, none_}}, postgres_deadline(options_.statement_timeout));
    answers.expect_done();
    return integer_of<std::int64_t>(answers.results[0].get(), 0, 0);
  }

 private:
  std::string conninfo_;
  std::vector<PostgresHost> hosts_;
  PostgresClockOptions options_;
  std::optional<PostgresConnection> connection_ = {};
  PostgresParameters none_ = {};
};

}  // namespace detail

/// A movable handle; any number of threads may use it. `now()` reads two words of memory and a clock of this
/// host that goes on while it sleeps.
///
/// While the server is out of reach, the last offset goes on being used, and `error_bound()` grows with what
/// two clocks may drift apart. A jump of the server's clock, as a failover to a server with another time can
/// bring, is followed at the next measurement: guards then see time jump by as much, forwards or backwards.
/// In a forked child nothing is measured any more.
class PostgresClock : public detail::ServerClock<detail::PostgresTime> {
 public:
  /// Measures once. Throws `store_unavailable` where the server told no time, `invalid_options`.
  explicit PostgresClock(std::string conninfo, PostgresClockOptions options = {})
      : ServerClock(options.interval, std::move(conninfo), options) {}
};

static_assert(Clock<PostgresClock>);

}  // namespace paidonce::inline v1
