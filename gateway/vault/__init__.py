"""The reasoning vault: what models thought, kept for the clients that drop it when they send the history back.

`identity` names an assistant's message so that it is known again, `keepsake` is what is kept of one, `listening` hears
it in plain and streamed answers, `store` keeps and finds it, and `mending` puts it back where a dialect wants it.
"""

from gateway.vault.keepsake import Origin
from gateway.vault.listening import Listener
from gateway.vault.mending import History, Mended, mend, will_think
from gateway.vault.store import Vault

__all__ = ["History", "Listener", "Mended", "Origin", "Vault", "mend", "will_think"]
