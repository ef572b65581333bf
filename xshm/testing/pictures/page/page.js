"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const [width, height] = data.size;
  const body = document.body;
  const stage = document.getElementById("stage");
  const slider = document.getElementById("slider");
  const places = document.getElementById("places");
  const shown = document.getElementById("shown");
  const papers = [...document.querySelectorAll(".paper")];
  const images = [...document.querySelectorAll(".paper img")];
  const expected = document.getElementById("expected");
  const edge = document.createElement("div");
  const ZOOMS = [1 / 8, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32];
  const BLINK = 700; // milliseconds that each picture is shown
  const PADDING = 16; // of the stage
  const ENOUGH = 40; // screen pixels along the shorter edge of a place that is gone to
  let zoom = 1;
  let timer = 0;

  const pixels = (value) => `${value}px`;

  // Frames around the places, in each picture.
  const frames = papers.map((paper) => data.places.map(() => {
    const frame = document.createElement("div");
    frame.className = "place";
    paper.append(frame);
    return frame;
  }));
  edge.className = "edge";
  expected.querySelector(".paper").append(edge);

  function layOut() {
    papers.forEach((paper) => {
      paper.style.width = pixels(width * zoom);
      paper.style.height = pixels(height * zoom);
    });
    images.forEach((image) => {
      image.style.width = pixels(image.naturalWidth * zoom);
    });
    frames.forEach((row) => row.forEach((frame, index) => {
      const [x, y, w, h] = data.places[index];
      frame.style.left = pixels((x - data.corner[0]) * zoom - 4);
      frame.style.top = pixels((y - data.corner[1]) * zoom - 4);
      frame.style.width = pixels(w * zoom + 8);
      frame.style.height = pixels(h * zoom + 8);
    }));
    body.classList.toggle("pixels", zoom > 1);
    document.getElementById("zoom").textContent = zoom >= 1 ? `${+zoom.toFixed(2)}×` : `${Math.round(zoom * 100)} %`;
    slide();
  }

  function slide() {
    const isSliding = body.dataset.view === "slide";
    const at = (slider.value / 1000) * width * zoom;
    const paper = expected.querySelector(".paper");
    paper.style.clipPath = isSliding ? `inset(0 ${width * zoom - at}px 0 0)` : "none";
    edge.style.left = pixels(Math.max(at - 2, 0));
  }

  function tell() {
    const text = body.classList.contains("is-actual") ? "Actual" : "Expected";
    shown.textContent = text;
  }

  function swap() {
    body.classList.toggle("is-actual");
    tell();
  }

  function view(name) {
    body.dataset.view = name;
    document.querySelectorAll("[data-view]").forEach((button) => {
      if (button !== body) {
        button.setAttribute("aria-pressed", String(button.dataset.view === name));
      }
    });
    clearInterval(timer);
    body.classList.remove("is-actual");
    if (name === "blink") {
      timer = setInterval(swap, BLINK);
    }
    tell();
    if (name === "beside") {
      fit(); // or the second would be out of sight
    } else {
      slide();
    }
  }

  // Zoom, and keep the point of the pictures where it is on the screen: by default the middle of the view.
  function zoomTo(next, middle) {
    const paper = papers.find((each) => each.offsetParent !== null);
    const box = paper.getBoundingClientRect();
    const inside = stage.getBoundingClientRect();
    const point = middle || [inside.left + inside.width / 2, inside.top + inside.height / 2];
    const at = [(point[0] - box.left) / zoom, (point[1] - box.top) / zoom];
    zoom = next;
    layOut();
    const moved = paper.getBoundingClientRect();
    stage.scrollLeft += moved.left + at[0] * zoom - point[0];
    stage.scrollTop += moved.top + at[1] * zoom - point[1];
  }

  function step(direction, middle) {
    const further = ZOOMS.filter((each) => (direction > 0 ? each > zoom + 1e-6 : each < zoom - 1e-6));
    if (further.length) {
      zoomTo(direction > 0 ? further[0] : further[further.length - 1], middle);
    }
  }

  function fit() {
    const beside = body.dataset.view === "beside" ? 2 : 1;
    const room = [(stage.clientWidth - PADDING * (beside + 1)) / beside, stage.clientHeight - 2 * PADDING - (beside - 1) * 24];
    const most = Math.min(room[0] / width, room[1] / height);
    zoom = most >= 1 ? Math.min(Math.floor(most), 4) : Math.max(most, 1 / 8);
    layOut();
  }

  function goTo(index) {
    if (!data.places.length) {
      return;
    }
    const wanted = (index + data.places.length) % data.places.length;
    places.value = String(wanted);
    frames.forEach((row) => row.forEach((frame, each) => frame.classList.toggle("current", each === wanted)));
    const [x, y, w, h] = data.places[wanted];
    const fits = ZOOMS.filter((each) => w * each < stage.clientWidth * 0.8 && h * each < stage.clientHeight * 0.8);
    const needed = ZOOMS.find((each) => Math.min(w, h) * each >= ENOUGH) || 1;
    zoom = Math.max(Math.min(needed, fits.length ? fits[fits.length - 1] : 1), zoom);
    layOut();
    const paper = papers.find((each) => each.offsetParent !== null);
    const box = paper.getBoundingClientRect();
    const inside = stage.getBoundingClientRect();
    const middle = [x - data.corner[0] + w / 2, y - data.corner[1] + h / 2];
    stage.scrollLeft += box.left + middle[0] * zoom - inside.left - inside.width / 2;
    stage.scrollTop += box.top + middle[1] * zoom - inside.top - inside.height / 2;
    if (body.dataset.view === "slide") {
      slider.value = String((middle[0] / width) * 1000);
      slide();
    }
  }

  data.places.forEach(([x, y, w, h, count], index) => {
    const option = document.createElement("option");
    option.value = String(index);
    option.textContent = `${w}x${h}+${x}+${y}: ${count} pixel${count === 1 ? "" : "s"}`;
    places.append(option);
  });

  const drag = (event) => {
    const box = papers[0].getBoundingClientRect();
    slider.value = String(((event.clientX - box.left) / box.width) * 1000);
    slide();
  };
  stage.addEventListener("pointerdown", (event) => {
    if (body.dataset.view === "slide" && event.button === 0 && event.target.closest(".paper")) {
      stage.setPointerCapture(event.pointerId);
      event.preventDefault();
      drag(event);
    }
  });
  stage.addEventListener("pointermove", (event) => {
    if (stage.hasPointerCapture(event.pointerId)) {
      drag(event);
    }
  });
  stage.addEventListener("wheel", (event) => {
    if (event.ctrlKey) {
      event.preventDefault();
      step(event.deltaY < 0 ? 1 : -1, [event.clientX, event.clientY]);
    }
  }, { passive: false });

  const showFrames = (yes) => {
    document.getElementById("frames").checked = yes;
    body.classList.toggle("no-frames", !yes);
  };
  const views = [...document.querySelectorAll("button[data-view]")];
  views.forEach((button) => button.addEventListener("click", () => view(button.dataset.view)));
  slider.addEventListener("input", slide);
  places.addEventListener("change", () => goTo(Number(places.value)));
  const next = () => goTo(Number(places.value) + 1);
  const previous = () => goTo(Number(places.value) - 1);
  document.getElementById("next").addEventListener("click", next);
  document.getElementById("previous").addEventListener("click", previous);
  document.getElementById("larger").addEventListener("click", () => step(1));
  document.getElementById("smaller").addEventListener("click", () => step(-1));
  document.getElementById("fit").addEventListener("click", fit);
  document.getElementById("frames").addEventListener("change", (event) => showFrames(event.target.checked));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest("select")) {
      return;
    }
    const keys = {
      1: () => view("slide"),
      2: () => view("blink"),
      3: () => view("beside"),
      4: () => view("diff"),
      n: next,
      p: previous,
      "+": () => step(1),
      "=": () => step(1),
      "-": () => step(-1),
      0: fit,
      f: () => showFrames(body.classList.contains("no-frames")),
    };
    if (event.key === " " && body.dataset.view === "blink" && !event.target.closest("button, input")) {
      clearInterval(timer); // from now on by hand
      swap();
      event.preventDefault();
    } else if (keys[event.key]) {
      keys[event.key]();
      event.preventDefault();
    }
  });
  addEventListener("resize", layOut);

  view("slide");
  Promise.all(images.map((image) => image.decode().catch(() => undefined))).then(() => {
    fit();
    const now = location.hash.match(/^#(slide|blink|beside|diff)$/);
    if (now) {
      view(now[1]);
      fit();
    }
    body.dataset.ready = "yes";
  });
})();
