#pragma once
// The stores that --store names.

#include <memory>

#include "common/open_store.hpp"
#include "options.hpp"

namespace payment_server {

/// Throws `paidonce::Error` as the stores do.
std::unique_ptr<common::OpenStore> open_store(const Options& options);

/// "directory payments.store", without anything that a password could stand in.
std::string name_of(const common::StoreAddress& address);

}  // namespace payment_server
