#pragma once
// A client that repeats a request until it is answered, under one key. Component paidonce::httplib.

#include <httplib.h>

#include <paidonce/http/message.hpp>

namespace paidonce::inline v1::http {}
