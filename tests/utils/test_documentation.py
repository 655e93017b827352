"""Links of the estimators' HTML to their pages."""

import re
from importlib import metadata

import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skgca
from skgca._utils import documentation
from skgca.model_selection import GCASearchCV

PAGES = {
    "skgca.GCAClassifier": skgca.GCAClassifier(),
    "skgca.GCACrossEmbedder": skgca.GCACrossEmbedder(),
    "skgca.GCAEmbedder": skgca.GCAEmbedder(),
    "skgca.GCAMap": skgca.GCAMap(),
    "skgca.GCARegressor": skgca.GCARegressor(),
    "skgca.model_selection.GCASearchCV": GCASearchCV(skgca.GCAEmbedder(), {"epsilon": [0.1]}),
}


def links(estimator):
    return re.findall(r'class="sk-estimator-doc-link[^"]*"[^>]*href="([^"]*)"', estimator._repr_html_())


@pytest.fixture
def packaged(monkeypatch):
    """Set the project URLs in the metadata of the package; None means that it is not installed."""

    def set_urls(urls):
        def metadata_of(name):
            if urls is None:
                raise metadata.PackageNotFoundError(name)
            return type("Metadata", (), {"get_all": lambda self, key: urls})()

        monkeypatch.setattr(documentation.metadata, "metadata", metadata_of)
        documentation._url_of_package.cache_clear()

    monkeypatch.delenv("SKGCA_DOCS_URL", raising=False)
    yield set_urls
    documentation._url_of_package.cache_clear()


@pytest.mark.parametrize("page", PAGES)
def test_estimators_link_to_their_pages(page, packaged):
    packaged(["Source, https://example.org/code", "Documentation, https://example.org/skgca/"])
    assert f"https://example.org/skgca/api/generated/{page}.html" in links(PAGES[page])


@pytest.mark.parametrize("urls", [None, [], ["Source, https://example.org"]])
def test_no_address_means_no_link(urls, packaged):
    packaged(urls)
    for estimator in PAGES.values():
        assert not any("skgca" in link for link in links(estimator))


def test_a_site_of_your_own(packaged, monkeypatch):
    packaged([])
    monkeypatch.setenv("SKGCA_DOCS_URL", "file:///home/me/skgca/docs/_build/html/")
    pipeline = make_pipeline(StandardScaler(), skgca.GCAEmbedder())
    found = [link for link in links(pipeline) if "skgca" in link]
    assert found == ["file:///home/me/skgca/docs/_build/html/api/generated/skgca.GCAEmbedder.html"]

    class Own(skgca.GCAEmbedder):
        """Of a user, without a page."""

    assert links(Own()) == []
