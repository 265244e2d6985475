"""minimax.py: the polynomial coefficients of kernels/maths.h, printed as hexadecimal floats.

    python3 tools/minimax.py [NAME]

A row gives the function that a polynomial stands for, the interval, how an error is weighed, and the leading coefficients that are fixed. The fit is Lawson's iteration (weighted least squares whose weights
grow where the error is large: C. Lawson, "Contributions to the theory of linear least maximum approximation", 1961) on Chebyshev nodes, in mpmath's numbers; coefficients are rounded to float from the constant
one upwards, and after each rounding the others are fitted again, so that they make up for it (as in N. Brisebarre and S. Chevillard, "Efficient polynomial L-infinity approximations", 2007, without the lattice).
Needs mpmath and NumPy; the compiler does not need this file."""
import sys

import mpmath as mp
import numpy as np

mp.mp.dps = 40
LN2 = mp.log(2)


def series(f, terms):
    """f(0), f'(0), .. as Taylor coefficients for the neighbourhood of 0, where the quotients below cancel."""
    return [mp.re(c) for c in mp.taylor(f, 0, terms)]


def tail(f, k, odd_even=0):
    """(f(x) - its first k Taylor terms) / x^k as a function of x; with odd_even 2 over z = x^2: even powers only, from x^k on."""
    c = series(f, 60)

    def g(t):
        x = mp.sqrt(abs(t)) if odd_even else t
        if odd_even:
            # sum over powers k, k+2, ..: c[k] + c[k+2] z + ..
            if x < mp.mpf("0.3"):
                return sum(c[k + 2 * i] * mp.mpf(t)**i for i in range((60 - k) // 2))
            return (f(x) - sum(c[j] * x**j for j in range(k))) / x**k
        if abs(x) < mp.mpf("0.2"):
            return sum(c[k + i] * x**i for i in range(60 - k))
        return (f(x) - sum(c[j] * x**j for j in range(k))) / x**k
    return g


def fit(f, lo, hi, degree, weight=lambda t, y: 1 / abs(y), fixed=(), points=400, rounds=60):
    """Float coefficients c[0..degree] with the smallest largest |weight * (p - f)|; c[i] = fixed[i] for the first ones."""
    lo, hi = mp.mpf(lo), mp.mpf(hi)
    t = [(lo + hi) / 2 + (hi - lo) / 2 * mp.cos(mp.pi * (2 * i + 1) / (2 * points)) for i in range(points)]
    y = [f(x) for x in t]
    w = np.array([float(weight(a, b)) for a, b in zip(t, y)], np.longdouble)
    T = np.array([float(x) for x in t], np.longdouble)
    Y = np.array([np.longdouble(mp.nstr(v, 25)) for v in y])
    done = [np.longdouble(np.float32(c)) for c in fixed]
    scale = np.longdouble(max(abs(float(lo)), abs(float(hi))))
    err = None
    while len(done) <= degree:
        k = len(done)
        rest = Y - sum((c * T**i for i, c in enumerate(done)), np.zeros_like(Y))
        A = np.stack([(T / scale)**i for i in range(k, degree + 1)], 1)
        lam = np.ones(points, np.longdouble) / points
        best = None
        for _ in range(rounds):
            s = np.sqrt(lam) * w
            q, r = qr(A * s[:, None])
            c = solve_upper(r, q.T @ (rest * s))
            e = np.abs((A @ c - rest) * w)
            if best is None or e.max() < best[0]:
                best = (e.max(), c)
            lam = lam * e
            lam /= lam.sum()
        err = best[0]
        c = best[1] / scale**np.arange(k, degree + 1)
        done.append(np.longdouble(np.float32(c[0])))
    return [np.float32(c) for c in done], float(err)


def qr(A):
    """Householder in long double (NumPy's own works in double)."""
    A = A.copy()
    m, n = A.shape
    q = np.eye(m, n, dtype=np.longdouble)
    vs = []
    for j in range(n):
        x = A[j:, j].copy()
        x[0] += np.copysign(np.sqrt((x * x).sum()), x[0])
        x /= np.sqrt((x * x).sum())
        vs.append(x)
        A[j:] -= 2 * np.outer(x, x @ A[j:])
    for j in reversed(range(n)):
        q[j:] -= 2 * np.outer(vs[j], vs[j] @ q[j:])
    return q, np.triu(A[:n])


def solve_upper(r, b):
    n = len(b)
    c = np.zeros(n, np.longdouble)
    for i in reversed(range(n)):
        c[i] = (b[i] - r[i, i + 1:] @ c[i + 1:]) / r[i, i]
    return c


def relative_to(f, power, square=False):
    """The polynomial is multiplied by x^power before it is added to what f(x) is made of: weigh by the share in f."""
    def w(t, y):
        x = mp.sqrt(abs(t)) if square else t
        v = f(x)
        if x == 0 or v == 0:
            return 0
        return abs(mp.mpf(x)**power / v)
    return w


def inverse_error_tail(w):
    """erfinv(x) / x where w = -log(1 - x^2)."""
    x = mp.sqrt(-mp.expm1(-w))
    if x == 0:
        return mp.sqrt(mp.pi) / 2
    return mp.erfinv(x) / x if w < 30 else erfinv_near_one(w) / x


def erfinv_near_one(w):
    """Newton on log(1 - erf(y)^2) = -w: 1 - erf^2 = erfc (2 - erfc)."""
    y = mp.sqrt(w)
    for _ in range(60):
        c = mp.erfc(y)
        g = mp.log(c * (2 - c)) + w
        d = (-2 / mp.sqrt(mp.pi) * mp.exp(-y * y)) * (2 - 2 * c) / (c * (2 - c))
        step = g / d
        y -= step
        if abs(step) < mp.mpf(10)**-35:
            break
    return y


H = LN2 / 2 * mp.mpf("1.01")
ROWS = {
    # e^r = 1 + r + r^2 (c0 + c1 r + ..), |r| <= ln(2)/2
    "exp": lambda: fit(tail(mp.exp, 2), -H, H, 4, lambda t, y: t * t / mp.exp(t), (0.5,)),
    # 2^r = 1 + r (c0 + c1 r + ..)
    "exp2": lambda: fit(tail(lambda x: mp.mpf(2)**x, 1), -0.505, 0.505, 5, lambda t, y: abs(t) / mp.mpf(2)**t),
    # expm1(r) = r + r^2 (c0 + ..)
    "expm1": lambda: fit(tail(mp.expm1, 2), -H, H, 5, relative_to(mp.expm1, 2), (0.5,)),
    # log(1 + f) = f - f^2/2 + f^3 (c0 + c1 f + ..), 1/sqrt(2) <= 1 + f <= sqrt(2)
    "log": lambda: fit(tail(mp.log1p, 3), mp.sqrt(0.5) - 1, mp.sqrt(2) - 1, 8, relative_to(mp.log1p, 3)),
    # 2/ln2 atanh(s) = 2/ln2 s + s^3 (c0 + c1 z + ..), z = s^2, |s| <= 0.0745
    "pow_log": lambda: fit(tail(lambda s: 2 / LN2 * mp.atanh(s), 3, 2), 0, mp.mpf("0.0745")**2, 2, relative_to(lambda s: 2 / LN2 * mp.atanh(s), 3, True)),
    # sin(r) = r + r^3 (c0 + c1 z + ..), z = r^2, |r| <= pi/4
    "sin": lambda: fit(tail(mp.sin, 3, 2), 0, (mp.pi / 4 * mp.mpf("1.005"))**2, 3, relative_to(mp.sin, 3, True)),
    # cos(r) = 1 - z/2 + z^2 (c0 + ..)
    "cos": lambda: fit(tail(mp.cos, 4, 2), 0, (mp.pi / 4 * mp.mpf("1.005"))**2, 2, relative_to(mp.cos, 4, True)),
    # tan(r) = r + r^3 (c0 + ..)
    "tan": lambda: fit(tail(mp.tan, 3, 2), 0, (mp.pi / 4 * mp.mpf("1.005"))**2, 6, relative_to(mp.tan, 3, True)),
    # tanh(x) = x + x^3 (c0 + ..), |x| < 0.625
    "tanh": lambda: fit(tail(mp.tanh, 3, 2), 0, mp.mpf("0.626")**2, 4, relative_to(mp.tanh, 3, True)),
    # e^2r = 1 + 2 r + r^2 (c0 + c1 r + ..), |r| <= ln(2)/4
    "tanh_exp": lambda: fit(tail(lambda r: mp.exp(2 * r), 2), -H / 2, H / 2, 4, lambda t, y: t * t / mp.exp(2 * t), (2,)),
    # sinh(x) = x + x^3 (c0 + ..), |x| < 1
    "sinh": lambda: fit(tail(mp.sinh, 3, 2), 0, mp.mpf("1.01")**2, 3, relative_to(mp.sinh, 3, True)),
    # asin(x) = x + x^3 (c0 + ..), |x| <= 0.5625
    "asin": lambda: fit(tail(mp.asin, 3, 2), 0, mp.mpf("0.5626")**2, 5, relative_to(mp.asin, 3, True)),
    # atan(x) = x + x^3 (c0 + ..), |x| <= 1
    "atan": lambda: fit(tail(mp.atan, 3, 2), 0, 1, 8, relative_to(mp.atan, 3, True)),
    # atanh(x) = x + x^3 (c0 + ..), |x| <= 1/2
    "atanh": lambda: fit(tail(mp.atanh, 3, 2), 0, mp.mpf("0.501")**2, 5, relative_to(mp.atanh, 3, True)),
    # log2 of the normal distribution's tail below -t: errors weighed as those of the tail itself
    "normal_cdf": lambda: fit(lambda t: mp.log(mp.ncdf(-t), 2), 0, mp.mpf("5.5"), 8, lambda t, y: mp.mpf(2)**y * LN2, (-1,)),
    # erfinv(x) = x p(w - 1), w = -log(1 - x^2) < 5
    "erfinv_small": lambda: fit(lambda t: inverse_error_tail(t + 1), -1, 4, 9),
    # .. and x p(sqrt(w) - 3) above
    "erfinv_large": lambda: fit(lambda t: inverse_error_tail((t + 3)**2), mp.sqrt(5) - 3, 1, 9),
}


def main():
    for name in sys.argv[1:] or ROWS:
        c, err = ROWS[name]()
        print(f"{name}: error 2^{np.log2(err):.2f}")
        for i, x in enumerate(c):
            print(f"    c{i} = {float(x).hex()}f   {float(x)!r}")


if __name__ == "__main__":
    main()
