#include "order_status.hpp"
