#pragma once
// The gateway's memory: JSON lines in a file that survives the process. A charge, succeeded and failed alike,
// is a line; one that ends later has a second line, which is what it is then.

#include <cstddef>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace gateway {

/// What a request, or a settlement, did: durable together, or not at all. What it has none of is null, or
/// empty.
struct Line {
  nlohmann::json charge = {};  ///< as the API shows it; without an `id` it is a new one
  nlohmann::json intent = {};  ///< likewise; the charge, if there is one, is made its latest
  std::string idempotency_key = {};
  std::string parameters = {};              ///< of the request, in canonical form
  std::vector<nlohmann::json> events = {};  ///< to be told, without ids
  unsigned deliveries = 0;                  ///< how often each has to be acknowledged
};

/// An event that has to be told so many times more.
struct Untold {
  nlohmann::json event;
  unsigned left = 0;
};

/// Safe to use from any number of threads. A line is on the disk before `append` returns; what a crash left
/// of a line that was never acknowledged is cut off at the next start. One gateway at a time: two would not
/// know of each other's charges.
class Ledger {
 public:
  explicit Ledger(const std::filesystem::path& file);
  ~Ledger();
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  /// Gives what is new its id, links charge and intent, and keeps the line, which it returns. A ledger that
  /// cannot be written ends the process: a gateway that forgets charges is of no use.
  Line append(Line line);
  /// That an event was acknowledged once.
  void told(const std::string& event);

  enum class Kind { charge, intent };
  struct Page {
    std::vector<nlohmann::json> objects;  ///< newest first
    bool has_more = false;
  };
  /// nullopt when `starting_after` names no such object. An empty one starts with the newest.
  std::optional<Page> page(Kind kind, std::size_t limit, const std::string& starting_after) const;
  std::optional<nlohmann::json> find(Kind kind, const std::string& id) const;
  std::vector<nlohmann::json> pending() const;
  std::vector<Untold> untold() const;

  /// The lines that were there when it was opened, once.
  std::vector<Line> take_history() { return std::exchange(history_, {}); }

 private:
  /// Objects by id, in the order in which they were made.
  class Objects {
   public:
    void put(const nlohmann::json& object);
    std::optional<std::size_t> position(const std::string& id) const;
    const nlohmann::json& operator[](std::size_t at) const { return objects_[at]; }
    std::size_t size() const { return objects_.size(); }

   private:
    std::vector<nlohmann::json> objects_;
    std::unordered_map<std::string, std::size_t> positions_;
  };

  void read(const std::filesystem::path& file);
  void remember(const Line& line);
  const Objects& objects(Kind kind) const { return kind == Kind::charge ? charges_ : intents_; }

  mutable std::mutex mutex_;
  Objects charges_, intents_;
  std::map<std::string, Untold> untold_;
  std::size_t events_ = 0;
  std::vector<Line> history_;
  int file_ = -1;
};

}  // namespace gateway
