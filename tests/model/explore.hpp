#pragma once
// Walks through the worlds of a scenario: all of them, depth first, each state once; or some, at random from
// a seed. Where nothing can move any more it probes what is left: a later call must get an answer, and
// recovery must come out the same however often it was cut short.

#include <random>
#include <unordered_set>
#include <vector>

#include "driver.hpp"

namespace model {

struct Statistics {
  std::uint64_t states = 0;
  std::uint64_t steps = 0;
  std::uint64_t ends = 0;
  std::size_t depth = 0;
  bool complete = true;  ///< whether every state was visited
};

class Explorer {
 public:
  explicit Explorer(const Scenario& scenario) : scenario_(scenario), driver_(scenario_) {}

  /// Every interleaving, up to `most_states`. Throws `Violation`; `trail()` then says how it came about.
  void exhaust(std::uint64_t most_states) {
    most_states_ = most_states;
    visit(driver_.start());
  }

  void walk(std::uint64_t seed, std::uint64_t walks) {
    std::mt19937_64 random(seed);
    std::vector<Move> moves;
    statistics_.complete = false;
    for (std::uint64_t i = 0; i < walks; ++i) {
      trail_.clear();
      World world = driver_.start();
      for (driver_.moves(world, moves); !moves.empty(); driver_.moves(world, moves)) {
        take(world, moves[random() % moves.size()]);
        ++statistics_.states;
        goes_on_for_ever(trail_.size());
      }
      probe(world);
    }
  }

  const Statistics& statistics() const { return statistics_; }
  const std::vector<Move>& trail() const { return trail_; }

 private:
  static void goes_on_for_ever(std::size_t steps) {
    if (steps > 400) throw Violation(10, "a call goes on and on");
  }

  void visit(const World& world) {
    if (!seen_.insert(Hash()(world).value()).second) return;
    if (++statistics_.states > most_states_) {
      statistics_.complete = false;
      return;
    }
    goes_on_for_ever(trail_.size());
    statistics_.depth = std::max(statistics_.depth, trail_.size());
    std::vector<Move> moves;
    driver_.moves(world, moves);
    const bool at_rest = std::all_of(world.clients.begin(), world.clients.end(),
                                     [](const Client& client) { return !client.payment; });
    if (at_rest) probe(world);
    for (const Move& move : moves) {
      World next = world;
      take(next, move);
      visit(next);
      trail_.pop_back();
      if (!statistics_.complete) return;
    }
  }

  void take(World& world, Move move) {
    trail_.push_back(move);
    ++statistics_.steps;
    driver_.take(world, move);
  }

  /// Every client has its answers or is dead. A lease later, and nothing failing any more.
  void probe(World world) {
    ++statistics_.ends;
    if (world.store.poisoned || world.store.dirty) return;
    world.network.clear();
    world.budget = {};
    world.lock_owner = -1;
    const std::size_t before = trail_.size();
    recovery_is_idempotent(world);
    world.now += lease;
    later_call_gets_an_answer(world);
    trail_.resize(before);
  }

  void later_call_gets_an_answer(World world) {
    const std::optional<Record> found = world.store.durable;
    const bool another = found && !(found->fingerprint == fingerprint_of(0));
    const std::size_t prober = add_prober(world, scenario_.clients.size() + (another ? 1 : 0));
    Status status = Status::in_progress;
    bool paid = false;
    while (world.clients[prober].payment) {
      const Move move = next_of(world, prober);
      step(world, move);
      if (!world.clients[prober].payment) break;
      const flow::Payment& payment = *world.clients[prober].payment;
      status = payment.ask() == flow::Ask::pay ? Status::completed : status;
      paid = paid || payment.ask() == flow::Ask::pay;
    }
    require(found || paid, 5, "a call on a free key did not pay");
    const bool free = found && found->state == State::released;
    require(!free || paid, 5, "a call on a released key did not pay");
    const bool held = world.store.durable && world.store.durable->state == State::in_progress;
    require(!held, 10, "a payment is held in progress after the lease of its holder");
  }

  void recovery_is_idempotent(const World& world) {
    if (!world.store.durable) return;
    const Record once = recovered(world, 100);
    for (int steps = 0;; ++steps) {
      World cut = world;
      const std::size_t prober = add_prober(cut, scenario_.clients.size() + 2);
      int taken = 0;
      for (; taken < steps && cut.clients[prober].payment; ++taken) step(cut, next_of(cut, prober));
      const bool ended = !cut.clients[prober].payment;
      cut.clients[prober].payment.reset();
      cut.lock_owner = -1;
      if (cut.store.dirty) store::commit(scenario_, cut);
      const Record again = recovered(cut, 100);
      require(again.state == once.state && again.response == once.response &&
                  again.attempts == once.attempts && again.created_at == once.created_at &&
                  again.note == once.note,
              11, "a recovery that was cut short comes out differently");
      if (ended) return;
    }
  }

  Record recovered(World world, int most_steps) {
    const std::size_t prober = add_prober(world, scenario_.clients.size() + 2);
    for (int i = 0; i < most_steps && world.clients[prober].payment; ++i) step(world, next_of(world, prober));
    return *world.store.durable;
  }

  /// A client beyond those of the scenario: the first pays, the second pays for the other request, the third
  /// asks the provider.
  std::size_t add_prober(World& world, std::size_t at_least) {
    while (world.clients.size() <= at_least) world.clients.emplace_back();
    driver_.begin_call(world, at_least);
    return at_least;
  }

  Move next_of(const World& world, std::size_t who) {
    if (world.store.dirty) return {Step::store_commits};
    for (std::size_t i = 0; i < world.requests.size(); ++i)
      if (world.requests[i].client == static_cast<int>(who) &&
          world.requests[i].fate == Request::Fate::under_way)
        return {Step::provider_charges, static_cast<std::uint8_t>(i)};
    moves_.clear();
    driver_.client_moves(world, who, moves_);
    if (moves_.empty()) throw Violation(10, "a call neither ends nor goes on");
    return moves_.front();
  }

  void step(World& world, Move move) {
    goes_on_for_ever(trail_.size());
    trail_.push_back(move);
    driver_.take(world, move);
  }

  const Scenario scenario_;
  const Driver driver_;
  std::uint64_t most_states_ = 0;
  Statistics statistics_;
  std::unordered_set<std::uint64_t> seen_;
  std::vector<Move> trail_;
  std::vector<Move> moves_;
};

}  // namespace model
