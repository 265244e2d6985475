"""An LSTM over rows in JAX, for the workloads that have one."""


def lstm_jax(jax, net, x, hidden):
    """x [1, T, in]; net: Wx, Wh, bias, the gates in the order i f g o. The outputs [1, T, hidden]."""
    jnp = jax.numpy

    def step(state, row):
        h, c = state
        i, f, g, o = jnp.split(row + net["Wh"] @ h, 4)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h
    return jax.lax.scan(step, (jnp.zeros(hidden), jnp.zeros(hidden)), x[0] @ net["Wx"].T + net["bias"])[1][None]
