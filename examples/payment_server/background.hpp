#pragma once
// What goes on beside the requests: payments in doubt are settled while nobody asks for them, expired records
// are swept, the store is surveyed, people are told what no program can mend.

#include <memory>

#include "service.hpp"

namespace payment_server {

class Background {
 public:
  /// `survey` is what it writes; all of it outlives this.
  Background(Service& service, LastSurvey& survey);
  ~Background();

  void start();
  /// Waits for what is being done at the moment.
  void stop() noexcept;

 private:
  struct Jobs;
  std::unique_ptr<Jobs> jobs_;
};

}  // namespace payment_server
