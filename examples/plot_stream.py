"""
A stream of batches
===================

Rows that arrive over time need not be kept: ``partial_fit`` goes on from where the last call ended. Here
scikit-learn's digits come in twelve chunks of a hundred, and after the sixth somebody turns the camera by a quarter.
One embedder sees each chunk and forgets it; another also goes over a hundred random rows of earlier chunks each time.
Both are measured against an embedder that is fitted on all chunks at once. Needs matplotlib and kornia.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgca import GCAEmbedder

rng = np.random.default_rng(0)
X, y = load_digits(return_X_y=True)
X = X.reshape(-1, 8, 8) / 16
spare, test, stream = np.split(rng.permutation(len(X)), [300, 597])
labelled = np.concatenate([spare[y[spare] == digit][:10] for digit in range(10)])


def turned(images):
    return np.rot90(images, axes=(1, 2)).copy()


chunks = [X[rows] for rows in np.array_split(stream, 12)]
chunks = chunks[:6] + [turned(chunk) for chunk in chunks[6:]]

# %%
# The columns of the embedding change with each call, so what reads it is fitted anew: a logistic regression on ten
# labelled images of each digit, upright or turned, tested on others of the same kind.


def accuracies(embed):
    """Accuracy on upright and on turned images."""
    found = []
    for change in (np.asarray, turned):
        probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
        probe.fit(embed(change(X[labelled])), y[labelled])
        found.append(probe.score(embed(change(X[test])), y[test]))
    return found


# %%
# Five passes over each chunk; the second embedder gets a hundred old rows with it.

plain, rehearsing = (GCAEmbedder(random_state=0) for _ in range(2))
course = {"each chunk alone": [], "with 100 old rows": []}
for k, chunk in enumerate(chunks):
    old = np.concatenate(chunks[:k]) if k else chunk[:0]
    old = old[rng.permutation(len(old))[:100]]
    for _ in range(5):
        plain.partial_fit(chunk)
        rehearsing.partial_fit(np.concatenate([chunk, old]))
    course["each chunk alone"].append(accuracies(plain.transform))
    course["with 100 old rows"].append(accuracies(rehearsing.transform))

at_once = accuracies(GCAEmbedder(max_epochs=40, random_state=0).fit(np.concatenate(chunks)).transform)
pixels = accuracies(lambda images: images.reshape(len(images), -1))

print(f"{'Accuracy':<32}{'upright':>8}{'turned':>8}")
rows = {"pixels": pixels, "fitted on all at once": at_once}
for name, found in course.items():
    rows |= {f"{name}, after chunk {k}": found[k - 1] for k in (1, 6, 12)}
for name, (upright, quarter) in rows.items():
    print(f"  {name:<30}{upright:>8.3f}{quarter:>8.3f}")

# %%
# Test images are 297, so that differences below some 3 points may be chance.

figure, axes = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained", sharey=True)
for kind, (ax, title) in enumerate(zip(axes, ("Upright images", "Turned images"), strict=True)):
    for (name, found), color, style in zip(course.items(), ("#d55e00", "#0072b2"), ("o--", "s-"), strict=True):
        ax.plot(range(1, 13), np.array(found)[:, kind], style, color=color, label=name)
    ax.axhline(at_once[kind], color="black", label="fitted on all at once")
    ax.axhline(pixels[kind], color="0.5", linestyle=":", label="pixels")
    ax.axvline(6.5, color="0.8", linewidth=6, zorder=0)
    ax.set(title=title, xlabel="chunks seen", xticks=range(1, 13))
axes[0].set_ylabel("accuracy on test images")
axes[0].text(6.5, axes[0].get_ylim()[0], "camera turned", rotation=90, ha="center", va="bottom", size=8)
axes[1].legend(loc="lower right")
plt.show()

# %%
# On the left, the embedder that sees each chunk alone forgets upright images once the camera is turned, and the one
# with old rows does not. On the right, both learn the turned images as they come, and end near the embedder that was
# fitted on all rows at once, which itself is hardly above pixels with so few rows and labels.
