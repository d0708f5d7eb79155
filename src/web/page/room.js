// The dialog that makes a room. Knows its elements, not how people are found or rooms are made.

import { chip, personItem, replace } from "./view.js";

const $ = (id) => document.getElementById(id);

export function roomDialog({ whenTyped, create }) {
  const members = new Map();

  function drawMembers() {
    replace($("room-members"), [...members.values()].map((person) => chip(person, () => {
      members.delete(person.userId);
      drawMembers();
    })));
  }

  function showFound(people) {
    const others = people.filter((person) => !members.has(person.userId));
    replace($("room-found"), others.map((person) => personItem(person, () => {
      members.set(person.userId, person);
      $("room-query").value = "";
      showFound([]);
      drawMembers();
    })));
  }

  whenTyped($("room-query"), showFound);
  $("new-room").onclick = () => {
    members.clear();
    drawMembers();
    showFound([]);
    $("room").reset();
    $("room-error").textContent = "";
    $("room-dialog").showModal();
  };
  $("room-cancel").onclick = () => $("room-dialog").close();
  // Enter in the search field looks for people; it does not make the room.
  $("room-query").onkeydown = (event) => {
    if (event.key === "Enter") {
      event.preventDefault();
      $("room-found").querySelector("button")?.click();
    }
  };
  $("room").onsubmit = async (event) => {
    event.preventDefault();
    try {
      await create($("room-name").value, [...members.keys()]);
      $("room-dialog").close();
    } catch (error) {
      $("room-error").textContent = error.message;
    }
  };
}
