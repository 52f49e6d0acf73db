"""The agent: one method for each thing that it can be about."""

from typing import Any

from stateset_gym import policies
from stateset_gym.envs.customer_service.actions import (
    Ask,
    CancelOrder,
    Claim,
    Close,
    FindCustomer,
    GetOrder,
    Inform,
    Propose,
    Refuse,
)


class ShopAgent(policies.Remembering):
    """Answers questions about orders and cancels orders; of all else it says that it cannot."""

    def choose(self, observation: dict[str, Any]) -> Any:
        """Serve the first request that is open; when none is left, close."""
        for number, request in enumerate(self.memory.requests):
            if number not in self.memory.settled:
                return self.serve(request)
        return Close("Thank you, and goodbye.")

    def serve(self, request: dict[str, Any]) -> Any:
        """The next act for a request."""
        if request["request"] not in ("order_question", "cancel_order"):
            return Close("I am sorry, I cannot help with that yet.")
        return self.identify() or self.read_order(request) or self.decline(request) or self.settle(request)

    def identify(self) -> Any:
        """Find out who this is, before anything of theirs is touched."""
        if "customer" in self.memory.seen:
            return None
        email = self.memory.person.get("email")
        return FindCustomer(email=email) if email else Ask("email", "What is your e-mail address?")

    def read_order(self, request: dict[str, Any]) -> Any:
        """Read the order that is meant; people misremember numbers, so see that it holds what they spoke of."""
        if "order_id" not in request:
            return Ask("order_id", "Which order is it?")
        order = self.memory.seen.get(request["order_id"])
        if order is None:
            return GetOrder(request["order_id"])
        wrong = "product" in request and request["product"] not in [item["name"] for item in order["items"]]
        return Ask("order_id", "I do not find it in that order. Which one is it?") if wrong else None

    def decline(self, request: dict[str, Any]) -> Any:
        """Decline what the house rules forbid."""
        order = self.memory.seen[request["order_id"]]
        if order["customer"] != self.memory.seen["customer"]["customer_id"]:
            return Refuse(request["request"], "not_your_order", "I am sorry, this order is not yours.")
        if request["request"] == "cancel_order" and order["status"] != "pending":
            return Refuse("cancel_order", "not_pending", "I am sorry, it is too late to cancel this order.")
        return None

    def settle(self, request: dict[str, Any]) -> Any:
        """Answer the question; or propose to cancel the order, and do it once the customer has agreed."""
        order_id = request["order_id"]
        if request["request"] == "order_question":
            field = request["question"]
            return Inform((Claim(order_id, field, self.memory.seen[order_id][field]),))
        if "reason" not in request:
            return Ask("reason", "Why would you like to cancel it?")
        cancel = CancelOrder(order_id, request["reason"])
        return cancel if cancel in self.memory.agreed else Propose(cancel, "Shall I cancel the order?")


def make(env: Any) -> ShopAgent:
    """For the command line: --stateset-policy shop_agent:make."""
    return ShopAgent()
